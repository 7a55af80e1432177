package shell_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/internal/shell"
)

// server is an MCP server that others wrote, without OAuth, whose tool returns
// what the test wants.
func server(t *testing.T, answer func(arguments json.RawMessage) *mcp.CallToolResult) string {
	t.Helper()
	s := mcp.NewServer(&mcp.Implementation{Name: "fixture", Version: "1"}, nil)
	no := false
	s.AddTool(&mcp.Tool{
		Name: "find-things", Title: "Find things", Description: "Finds things.\nSlowly.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
		InputSchema: json.RawMessage(`{"type":"object","required":["name"],"properties":{
			"name":{"type":"string","description":"Part of the name."},"limit":{"type":"integer","default":20},"ratio":{"type":"number"},
			"exact":{"type":"boolean"},"colour":{"type":"string","enum":["red","green"]},"tags":{"type":"array","items":{"type":"string"}},
			"sizes":{"type":"array","items":{"type":"integer"}},"where":{"type":"object"},"either":{"type":["integer","null","string"]}}}`),
	}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return answer(r.Params.Arguments), nil
	})
	s.AddTool(&mcp.Tool{Name: "find-all", Annotations: &mcp.ToolAnnotations{DestructiveHint: &no}, InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return text("all"), nil })
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true})
	running := httptest.NewServer(h)
	t.Cleanup(running.Close)
	return running.URL
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

// lines runs commands and returns what they printed.
func lines(t *testing.T, o shell.Options, input string) (out, problems string, code int) {
	t.Helper()
	var a, b bytes.Buffer
	o.Out, o.Err = &a, &b
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	s, err := shell.New(o)
	if err != nil {
		t.Fatal(err)
	}
	code = shell.Code(s.Lines(t.Context(), strings.NewReader(input)))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return a.String(), b.String(), code
}

func TestArgumentsAreReadByTheToolsSchema(t *testing.T) {
	var got json.RawMessage
	address := server(t, func(arguments json.RawMessage) *mcp.CallToolResult { got = arguments; return text("ok") })
	for input, want := range map[string]string{
		`call find-things name=ana`:                                     `{"name":"ana"}`,
		`call find-things name="Ana M" limit=5 exact=true ratio=0.5`:    `{"exact":true,"limit":5,"name":"Ana M","ratio":0.5}`,
		`call find-things 'name=a "b"' colour=red`:                      `{"colour":"red","name":"a \"b\""}`,
		`call find-things name=a\ b`:                                    `{"name":"a b"}`,
		`call find-things name=5`:                                       `{"name":"5"}`,
		`call find-things name=a=b`:                                     `{"name":"a=b"}`,
		`call find-things name=x tags=a tags=b sizes=1 sizes=2`:         `{"name":"x","sizes":[1,2],"tags":["a","b"]}`,
		`call find-things name=x 'tags=["a","b,c"]' 'where={"deep":1}'`: `{"name":"x","tags":["a","b,c"],"where":{"deep":1}}`,
		`call find-things name=x either=7`:                              `{"either":7,"name":"x"}`,
		`call find-things name=x either=null`:                           `{"either":null,"name":"x"}`,
		`call find-things name=x either=seven`:                          `{"either":"seven","name":"x"}`,
		`call find-things {"name": "a b", "limit": 9007199254740993}`:   `{"limit":9007199254740993,"name":"a b"}`,
	} {
		got = nil
		if _, problems, code := lines(t, shell.Options{Server: address}, input+"\n"); code != 0 || string(got) != want {
			t.Errorf("%s: %d, sent %s, want %s; %s", input, code, got, want, problems)
		}
	}
}

func TestMistakesAreToldBeforeACall(t *testing.T) {
	address := server(t, func(json.RawMessage) *mcp.CallToolResult { t.Error("the tool was called"); return text("") })
	for input, want := range map[string]string{
		`call`:                               "takes the name of a tool",
		`call find-thing name=x`:             "did you mean find-things?",
		`call nothing`:                       "`list` shows",
		`call find-things nme=x`:             `no argument "nme"; there are: name,`,
		`call find-things name`:              "neither NAME=VALUE",
		`call find-things name=x limit=many`: "limit must be integer",
		`call find-things name=x exact=yes`:  "exact must be boolean",
		`call find-things {"name": }`:        "no JSON object",
		`call find-things {"name":1} {}`:     "one object",
		`call find-things name="x`:           "within a quotation",
		`fetch`:                              "no command",
		`describe`:                           "name of one tool",
		`trace maybe`:                        "trace on",
		`logout everything`:                  "logout forget",
	} {
		if _, problems, code := lines(t, shell.Options{Server: address}, input+"\n"); code != shell.CodeUsage || !strings.Contains(problems, want) {
			t.Errorf("%s: %d %q, want %q", input, code, problems, want)
		}
	}
}

func TestResultsAreShown(t *testing.T) {
	for name, c := range map[string]struct {
		result *mcp.CallToolResult
		json   bool
		out    string
		code   int
	}{
		"plain text":    {result: text("hello\n"), out: "hello\n"},
		"records":       {result: text(`{"things":[{"id":2,"name":"b"},{"id":10,"name":"a","on":true}],"next":"x"}`), out: "ID  NAME  ON\n2   b\n10  a     true\nnext: x\n"},
		"one record":    {result: text(`{"name":"b","id":9007199254740993,"tags":["x","y"],"none":[]}`), out: "name  b\nid    9007199254740993\ntags  x, y\nnone  (none)\n"},
		"nested":        {result: text(`[{"a":{"b":1}}]`), out: "[\n  {\n    \"a\": {\n      \"b\": 1\n    }\n  }\n]\n"},
		"an error":      {result: &mcp.CallToolResult{IsError: true, Content: text("no such thing").Content}, code: shell.CodeTool},
		"an image":      {result: &mcp.CallToolResult{Content: []mcp.Content{&mcp.ImageContent{MIMEType: "image/png", Data: []byte("12345")}}}, out: "(an image, image/png, 5 bytes; --json has it)\n"},
		"for programs":  {result: text(`{"id":9007199254740993}`), json: true, out: `{"content":[{"type":"text","text":"{\"id\":9007199254740993}"}]}` + "\n"},
		"orders to us":  {result: text("\x1b]0;owned\x07\x1b[2Jclear\u202eesrever\u2066"), out: "·]0;owned··[2Jclear·esrever·\n"},
		"hidden in one": {result: text(`{"name":"\u001b[31mred\u202e"}`), out: "name  ·[31mred·\n"},
	} {
		t.Run(name, func(t *testing.T) {
			address := server(t, func(json.RawMessage) *mcp.CallToolResult { return c.result })
			out, _, code := lines(t, shell.Options{Server: address, JSON: c.json}, "call find-things name=x\n")
			if c.json {
				var a, b any
				if json.Unmarshal([]byte(out), &a) != nil || json.Unmarshal([]byte(c.out), &b) != nil || !cmp.Equal(content(a), content(b)) {
					t.Errorf("got %s", out)
				}
				return
			}
			if diff := cmp.Diff(c.out, out); diff != "" || code != c.code {
				t.Errorf("code %d; -want +got:\n%s", code, diff)
			}
		})
	}
}

func content(v any) any { o, _ := v.(map[string]any); return o["content"] }

func TestListAndDescribe(t *testing.T) {
	address := server(t, nil)
	out, _, code := lines(t, shell.Options{Server: address}, "list\ndescribe find-things\ndescribe find-all\n")
	for _, want := range []string{"TOOL         EFFECT   WHAT IT DOES\n", "find-things  reads    Find things\n", "find-all     changes\n", "Slowly.\n",
		"name      string               required    Part of the name.\n", "colour    red|green\n", "limit     integer              default 20\n", "  call find-things name=…\n", "It takes no arguments."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if code != 0 {
		t.Error(code)
	}
}

func TestTraceShowsMessagesInOrder(t *testing.T) {
	address := server(t, func(json.RawMessage) *mcp.CallToolResult { return text("ok") })
	_, problems, _ := lines(t, shell.Options{Server: address}, "trace on\ncall find-things name=x\ntrace off\nlist\n")
	last := -1
	for _, want := range []string{"1 → MCP server/discover", "1 ← 200 OK", "2 → MCP tools/list", "3 → MCP tools/call find-things", "Mcp-Name: find-things", "3 ← 200 OK"} {
		at := strings.Index(problems, want)
		if at <= last {
			t.Errorf("%q is at %d, after %d in\n%s", want, at, last, problems)
		}
		last = at
	}
	if strings.Contains(problems, "4 →") {
		t.Error("it went on after trace off")
	}
}
