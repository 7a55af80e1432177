package gateway_test

import (
	"testing"

	"gatehouse/internal/catalog"
	"gatehouse/internal/openapi"
)

func testAPIs(t testing.TB) []*catalog.API {
	return []*catalog.API{testAPI(t, "users", "Customer API", "/users", usersDocument, []string{"users:read"}), testAPI(t, "orders", "Order API", "/orders", ordersDocument, []string{"orders:read"})}
}

func testAPI(t testing.TB, name, title, path, document string, defaults []string) *catalog.API {
	t.Helper()
	d, err := openapi.Load([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	resource := mcpURL + path
	if path == "/" {
		resource = mcpURL
	}
	api, err := catalog.New(catalog.Options{
		Name: name, Title: title, Resource: resource, MCPPath: path, URL: apiURL, Audience: apiURL, Document: d, DefaultScopes: defaults,
		Scopes: map[string]catalog.Scope{"users:write": {Name: "users:write", Text: "change customers", Implies: []string{"users:read"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

const usersDocument = `
openapi: 3.1.0
info: {title: Customer API, version: "1"}
components:
  securitySchemes:
    oauth: {type: oauth2, flows: {authorizationCode: {authorizationUrl: https://login.example.com/authorize, tokenUrl: https://login.example.com/token, scopes: {"users:read": read, "users:write": change, "refunds:create": refund}}}}
  schemas:
    User: {type: object, required: [id, name], properties: {id: {type: string}, name: {type: string}}}
security: [{oauth: ["users:read"]}]
paths:
  /users:
    get:
      operationId: fetch-users
      summary: Fetch customers
      parameters:
        - {name: q, in: query, schema: {type: string}}
        - {name: limit, in: query, schema: {type: integer, minimum: 1}}
        - {name: X-Tenant, in: header, schema: {type: string}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
    post:
      operationId: create-user
      summary: Create a customer
      security: [{oauth: ["users:write"]}]
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [name], additionalProperties: false, properties: {name: {type: string}}}}}}
      responses: {"201": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}}
  /users/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: fetch-user
      summary: Fetch one customer
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}}
    patch:
      operationId: update-user
      summary: Change a customer
      security: [{oauth: ["users:write"]}]
      parameters: [{name: notify, in: query, schema: {type: boolean}}]
      requestBody: {content: {application/json: {schema: {type: object, additionalProperties: false, properties: {name: {type: string, maxLength: 100}}}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}}
    delete:
      operationId: delete-user
      summary: Delete a customer
      security: [{oauth: ["users:write"]}]
      responses: {"204": {description: gone}}
  /users/{id}/refunds:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    post:
      operationId: refund-order
      summary: Refund
      security: [{oauth: ["users:read", "refunds:create"]}]
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
  /report:
    get:
      operationId: fetch-report
      summary: Report
      parameters: [{name: id, in: query, schema: {type: string}}]
      responses: {"200": {description: ok}}
`

const ordersDocument = `
openapi: 3.1.0
info: {title: Order API, version: "1"}
paths:
  /orders:
    get:
      operationId: fetch-orders
      summary: Fetch orders
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
`
