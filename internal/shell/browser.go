package shell

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// openBrowser opens an authorization page in the person's browser, and prints its
// address for the case that none opens. No shell sees the address (R-CL-22).
func (s *Shell) openBrowser(_ context.Context, address string) error {
	fmt.Fprintf(s.Err, "Sign in and decide in the browser. If none opened, open this yourself, on this computer:\n\n  %s\n\n", clean(address))
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.Command("open", address)
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", address)
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return nil
		}
		cmd = exec.Command("xdg-open", address)
	}
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }() // whether it worked is seen on the screen
	}
	return nil
}

// printAddress asks the person to open an authorization page.
func (s *Shell) printAddress(_ context.Context, address string) error {
	fmt.Fprintf(s.Err, "Open this in a browser on this computer, sign in and decide:\n\n  %s\n\n", clean(address))
	return nil
}
