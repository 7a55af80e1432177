package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/jose"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// The test binary runs as a second process when childRole is set; it opens the
// database that childDSN names and says on its output what it was promised.
const (
	childRole = "SQLSTORE_TEST_CHILD"
	childDSN  = "SQLSTORE_TEST_DSN"
)

func child(role string) int {
	ctx := context.Background()
	db, err := sqlstore.Open(ctx, os.Getenv(childDSN), sqlstore.Options{})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	defer db.Close()
	switch role {
	case "first key":
		key, err := db.AddFirstSigningKey(ctx, jose.StoredKey{KeyID: secret.ID(), Algorithm: "ES256", CreatedAt: 1})
		fmt.Println("key", key.KeyID, err)
	case "redeem":
		err := db.RedeemCode(ctx, "c", aToken(secret.Hash(secret.ID())), now)
		fmt.Println("redeemed", err == nil, err == nil || errors.Is(err, grant.ErrUsed))
	case "write":
		writeUntilKilled(ctx, db)
	}
	return 0
}

// writeUntilKilled prints the name of each thing once the store has promised to
// keep it.
func writeUntilKilled(ctx context.Context, db *sqlstore.DB) {
	var out sync.Mutex
	say := func(kind, id string, err error) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(kind, id, err)
	}
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(worker, "-", i)
				say("entry", "a"+id, db.Append(ctx, entry("a"+id)))
				say("entry", "q"+id, db.Enqueue(ctx, entry("q"+id)))
				say("code", "c"+id, db.RedeemCode(ctx, secret.Hash("c"+id), aToken(secret.Hash("t"+id)), now))
			}
		}()
	}
	select {}
}

func startChild(t *testing.T, role, dsn string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childDSN+"="+dsn)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// Several processes that start at once on an empty database create its schema
// once and agree on the first signing key.
func TestProcessesThatStartAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		said := map[string]int{}
		var outs []*bufio.Scanner
		for range 4 {
			_, out := startChild(t, "first key", dsn)
			outs = append(outs, out)
		}
		for _, out := range outs {
			for out.Scan() {
				said[out.Text()]++
			}
		}
		keys, err := open(t, dsn, sqlstore.Options{NoMigrate: true}).SigningKeys(t.Context())
		must(t, err)
		if len(keys) != 1 || said["key "+keys[0].KeyID+" <nil>"] != 4 {
			t.Errorf("keys %v; the processes said %v", keys, said)
		}
	})
}

func TestHandlesThatMigrateAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{})
				if err != nil {
					t.Error(err)
				} else if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestProcessesThatRedeemAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		approve(t, open(t, dsn, sqlstore.Options{}), aGrant("g"), aCode("c"), now)
		said := map[string]int{}
		var outs []*bufio.Scanner
		for range 4 {
			_, out := startChild(t, "redeem", dsn)
			outs = append(outs, out)
		}
		for _, out := range outs {
			for out.Scan() {
				said[out.Text()]++
			}
		}
		if said["redeemed true true"] != 1 || said["redeemed false true"] != 3 {
			t.Errorf("the processes said %v", said)
		}
	})
}

// What was acknowledged is there after kill -9: entries of Append and of
// Enqueue, and that a code was used.
func TestKilledProcessLosesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{})
		must(t, err)
		codes := sync.WaitGroup{}
		for worker := range 4 {
			codes.Go(func() {
				for i := range 60 {
					approve(t, db, aGrant(secret.ID()), aCode(secret.Hash(fmt.Sprint("c", worker, "-", i))), now)
				}
			})
		}
		codes.Wait()
		must(t, db.Close())

		cmd, out := startChild(t, "write", dsn)
		var said []string
		for out.Scan() {
			if said = append(said, out.Text()); len(said) == 300 {
				must(t, cmd.Process.Kill())
			}
		}
		if len(said) < 300 {
			t.Fatalf("the process said %d lines: %v", len(said), said)
		}
		db = open(t, dsn, sqlstore.Options{NoMigrate: true})
		entries, err := db.Recent(t.Context(), 1_000_000)
		must(t, err)
		there := map[string]bool{}
		for _, e := range entries {
			there[e.ID] = true
		}
		for _, line := range said {
			var kind, id, outcome string
			fmt.Sscan(line, &kind, &id, &outcome)
			switch {
			case kind == "entry" && outcome == "<nil>":
				if !there[id] {
					t.Errorf("%s was acknowledged and is lost", line)
				}
			case kind == "code" && outcome == "<nil>":
				wantErr(t, line, db.RedeemCode(t.Context(), secret.Hash(id), aToken("t"), now), grant.ErrUsed)
				_, _, err := db.Token(t.Context(), secret.Hash(strings.Replace(id, "c", "t", 1)), now.Add(time.Second))
				must(t, err)
			case kind != "code": // more codes are asked for than there are
				t.Errorf("the process said %q", line)
			}
		}
	})
}
