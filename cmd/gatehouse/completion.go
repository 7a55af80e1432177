package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (c *completionCommand) Help() string {
	return "Examples:\n\n  source <(gatehouse completion bash)\n  gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish"
}

func (c *completionCommand) Run(model *kong.Application, o output) error {
	words := map[string][]string{}
	var order []string
	collect(model.Node, "", words, &order)
	switch c.Shell {
	case "fish":
		fishCompletion(o.Out, words, order)
	case "zsh":
		fmt.Fprintln(o.Out, "autoload -U +X bashcompinit && bashcompinit")
		fallthrough
	default:
		bashCompletion(o.Out, words, order)
	}
	return nil
}

// collect lists what may follow each chain of commands.
func collect(n *kong.Node, chain string, words map[string][]string, order *[]string) {
	*order = append(*order, chain)
	for _, f := range n.Flags {
		if !f.Hidden {
			words[chain] = append(words[chain], "--"+f.Name)
		}
	}
	for _, p := range n.Positional {
		if p.Enum != "" {
			words[chain] = append(words[chain], p.EnumSlice()...)
		}
	}
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			words[chain] = append(words[chain], child.Name)
			collect(child, strings.TrimSpace(chain+" "+child.Name), words, order)
		}
	}
}

func bashCompletion(w io.Writer, words map[string][]string, order []string) {
	fmt.Fprint(w, `_gatehouse() {
  local word chain="" current="${COMP_WORDS[COMP_CWORD]}"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ "$word" == -* ]] || chain="${chain:+$chain }$word"
  done
  case "$chain" in
`)
	for _, chain := range order {
		pattern := fmt.Sprintf("%q", chain)
		if !slices.ContainsFunc(order, func(other string) bool { return chain == "" || strings.HasPrefix(other, chain+" ") }) {
			pattern += fmt.Sprintf("|%q*", chain+" ") // arguments may come before flags
		}
		fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -W %q -- \"$current\")) ;;\n", pattern, strings.Join(words[chain], " "))
	}
	fmt.Fprint(w, "    *) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n  esac\n}\ncomplete -o default -F _gatehouse gatehouse\n")
}

func fishCompletion(w io.Writer, words map[string][]string, order []string) {
	for _, chain := range order {
		condition := "__fish_use_subcommand"
		if chain != "" {
			condition = "__fish_seen_subcommand_from " + strings.ReplaceAll(chain, " ", "; and __fish_seen_subcommand_from ")
		}
		for _, word := range words[chain] {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(w, "complete -c gatehouse -n '%s' -l %s\n", condition, flag)
			} else {
				fmt.Fprintf(w, "complete -c gatehouse -n '%s' -f -a %s\n", condition, word)
			}
		}
	}
}
