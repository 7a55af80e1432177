package mcpclient_test

import (
	"context"
	"fmt"
	"log"

	"gatehouse/mcpclient"
)

func Example() {
	ctx := context.Background()
	folder, err := mcpclient.DefaultFolder()
	if err != nil {
		log.Fatal(err)
	}
	c := &mcpclient.Client{
		Name:  "Nightly report",
		Store: &mcpclient.Store{Folder: folder},
		Open: func(_ context.Context, address string) error {
			fmt.Println("Sign in at", address)
			return nil
		},
	}
	s, err := c.Connect(ctx, "https://mcp.example.com")
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	result, err := s.Call(ctx, "fetch-users", map[string]any{"limit": 10})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(result.StructuredContent)
}
