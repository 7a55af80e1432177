package app

import (
	"encoding/json"
	"fmt"

	"gatehouse/internal/catalog"
	"gatehouse/internal/openapi"
)

// ToolList is what a document would yield, for looking at it.
type ToolList struct {
	Tools         []ToolLine    `json:"tools"`
	DefaultScopes []string      `json:"defaultScopes"`
	Skipped       []SkippedLine `json:"skipped"`
}

// ToolLine is one tool of a ToolList.
type ToolLine struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	Method       string          `json:"method"`
	Path         string          `json:"path"`
	Risk         string          `json:"risk"`   // read, change or delete
	Scopes       [][]string      `json:"scopes"` // alternatives of sets
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
}

// SkippedLine is an operation that became no tool.
type SkippedLine struct {
	Operation string `json:"operation"`
	Reason    string `json:"reason"`
}

// DocumentTools derives the tools of one document; nothing is contacted.
func DocumentTools(path, name string) (*ToolList, error) {
	data, err := ReadDocument(path)
	if err != nil {
		return nil, err
	}
	document, err := openapi.Load(data)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document %s: %w", path, err)
	}
	const nowhere = "http://localhost"
	api, err := catalog.New(catalog.Options{Name: name, MCPPath: "/", Resource: nowhere, URL: nowhere, Audience: nowhere, Document: document})
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document %s: %w", path, err)
	}
	list := &ToolList{Tools: []ToolLine{}, DefaultScopes: api.DefaultScopes, Skipped: []SkippedLine{}}
	for _, t := range api.Tools {
		list.Tools = append(list.Tools, ToolLine{t.Name, t.Title, t.Description, t.Method, t.Path, t.Risk(), t.Scopes, t.InputSchema, t.OutputSchema})
	}
	for _, s := range api.Skipped {
		list.Skipped = append(list.Skipped, SkippedLine(s))
	}
	return list, nil
}
