// Package webtest owns what tests of several packages need: a network in
// memory that works in a testing/synctest bubble, a browser that keeps cookies
// and submits forms, HTTP scripts in text files, and fresh PostgreSQL
// databases. It is imported by tests only and knows nothing of the product.
//
// # Scripts
//
// A script is a text file of cases, separated by blank lines. Lines that begin
// with # are comments. A case is a request and what must be true of the
// answer:
//
//	POST http://login.localhost:8080/token
//	Authorization: Basic YWdlbnQ6c2VjcmV0
//	form grant_type=authorization_code
//	form code=${code}
//	code == 400
//	header Cache-Control == no-store
//	json .error == invalid_grant
//	let reason json .error_description
//
// The first line is method and URL; a URL without host is for example.com.
// Then come, in any order:
//
//	Name: value           a header of the request
//	form name=value       a form field; fields are encoded and make the body
//	send text             the body as it is; several make several lines
//	code OP text          compares the status; 200 is expected if there is none
//	header NAME OP text   compares a header, several values joined by ", "
//	body OP text          compares the body, without white space around it
//	json PATH OP text     compares a value in the body: .a.b, .list.0 or .
//	let NAME header H     keeps a header, value or body for later lines,
//	let NAME json PATH    which write it ${NAME}
//	let NAME body
//
// OP is one of ==, !=, contains, !contains, ~ and !~ (regular expressions). A
// JSON string is compared as its text, everything else as compact JSON, and
// what does not exist as the empty text.
package webtest
