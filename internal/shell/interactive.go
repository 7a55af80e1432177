package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// Lines runs one command for each line of in, which is no terminal, and returns
// the last error. It goes on after an error, like a person would.
func (s *Shell) Lines(ctx context.Context, in io.Reader) error {
	var last error
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		words, err := split(lines.Text())
		if err == nil {
			if quits(words) {
				return last
			}
			err = s.Run(ctx, words)
		}
		if err != nil {
			fmt.Fprintln(s.Err, clean(err.Error()))
			last = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(last, lines.Err())
}

const maxLine = 1 << 20 // bytes

func quits(words []string) bool {
	return len(words) == 1 && (words[0] == "quit" || words[0] == "exit")
}

// loop reads commands from a terminal, with completion by Tab and
// history by the arrow keys, until its end. Interrupting a command ends that
// command only.
func (s *Shell) loop(ctx context.Context, in, out *os.File, h *history) error {
	screen := struct {
		io.Reader
		io.Writer
	}{in, out}
	t := term.NewTerminal(screen, s.prompt())
	t.History = h
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return s.complete(t, line, pos)
	}
	// What is completed must be known; and who cannot connect need not type.
	if err := s.attempt(ctx, []string{"list"}); err != nil {
		return err
	}
	fmt.Fprintln(s.Err, s.quiet("`help` lists what else there is; Tab completes."))
	for {
		if w, h, err := term.GetSize(int(out.Fd())); err == nil && w > 0 {
			_ = t.SetSize(w, h) // 80 columns if the terminal does not say
		}
		line, err := readLine(ctx, t, in)
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(s.Err)
			return nil
		}
		if err != nil {
			return err
		}
		words, err := split(line)
		if err == nil && quits(words) {
			return nil
		}
		if err == nil {
			err = s.attempt(ctx, words)
		}
		if err != nil {
			fmt.Fprintln(s.Err, clean(err.Error()))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// attempt runs a command that an interrupt ends.
func (s *Shell) attempt(ctx context.Context, words []string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return s.Run(ctx, words)
}

// readLine reads with the terminal in raw mode, and leaves it as it was: a
// command that runs can be interrupted. If ctx ends, so does the program, which
// a terminal in raw mode must not outlive.
func readLine(ctx context.Context, t *term.Terminal, in *os.File) (string, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	restore := func() { _ = term.Restore(int(in.Fd()), before) } // there is nothing else to try
	defer restore()
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := t.ReadLine()
		done <- read{line, err}
	}()
	select {
	case r := <-done:
		if errors.Is(r.err, term.ErrPasteIndicator) {
			r.err = nil
		}
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *Shell) prompt() string {
	_, name, _ := strings.Cut(s.Server, "://")
	name, _, _ = strings.Cut(name, "?")
	return clean(strings.TrimSuffix(name, "/")) + "> "
}

// split makes words of a line as shells do: quotes join, a backslash takes the
// next character as it is. Within a word that is a JSON value, quotes stay, so
// that {"a": 1} can be typed without any.
func split(line string) ([]string, error) {
	line = strings.TrimSpace(line)
	if head, tail, ok := cutObject(line); ok {
		words, err := split(head)
		return append(words, tail), err
	}
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, usageError("the line ends within a quotation; close it or escape the quotation mark with a backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// cutObject finds a JSON object at the end of a line, as in: call TOOL {"a": 1}.
func cutObject(line string) (head, tail string, ok bool) {
	i := strings.Index(line, " {")
	if i < 0 || !strings.HasSuffix(line, "}") || strings.ContainsAny(line[:i], `"'`) {
		return "", "", false
	}
	return line[:i], strings.TrimSpace(line[i:]), true
}
