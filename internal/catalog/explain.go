package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxProblems bounds what one error lists, maxEcho what it repeats of a value
// or name.
const (
	maxProblems = 5
	maxEcho     = 40
)

// explain rewords a validation error: for each problem one sentence that says
// where it is and what was expected. Of the values it repeats only numbers,
// since a text may be a secret. root is what the whole is called.
func explain(err error, root string) error {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return errors.New("they could not be checked")
	}
	var problems []string
	for _, e := range leaves(invalid) {
		for _, p := range problem(e, root) {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	slices.Sort(problems) // the validator goes through members in any order
	if len(problems) > maxProblems {
		problems = append(problems[:maxProblems], "and more")
	}
	return errors.New(strings.Join(problems, "; "))
}

// leaves are the errors that have no others as their cause. Where a value may
// have one of several forms, they are those of the only form it can have meant,
// or else the choice itself is the problem.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		var types []string
		var meant [][]*jsonschema.ValidationError
		for _, cause := range e.Causes {
			found := leaves(cause)
			if t, ok := found[0].ErrorKind.(*kind.Type); ok && len(found[0].InstanceLocation) == len(e.InstanceLocation) {
				types = append(types, t.Want...)
			} else {
				meant = append(meant, found)
			}
		}
		switch len(meant) {
		case 0:
			return []*jsonschema.ValidationError{{InstanceLocation: e.InstanceLocation, ErrorKind: &kind.Type{Want: types}}}
		case 1:
			return meant[0]
		}
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// problem words one error; what concerns several members is one problem for
// each.
func problem(e *jsonschema.ValidationError, root string) []string {
	at := func(names ...string) string {
		return clip(strings.Join(slices.Concat(e.InstanceLocation, names), "."), maxEcho)
	}
	var each []string
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			each = append(each, at(name)+": is missing")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			each = append(each, at(name)+": is missing, since "+clip(k.Prop, maxEcho)+" is given")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			each = append(each, at(name)+": is not known here")
		}
	default:
		place := cmp.Or(at(), root)
		if place != "" {
			place += ": "
		}
		each = []string{place + expected(e.ErrorKind)}
	}
	return each
}

// expected says what a value must be.
func expected(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		if k.Got == "" {
			return "must be " + either(k.Want)
		}
		return fmt.Sprintf("must be %s (got %s)", either(k.Want), k.Got)
	case *kind.Enum:
		return "must be one of " + values(k.Want)
	case *kind.Const:
		return "must be " + values([]any{k.Want})
	case *kind.Format:
		if k.Want == "regex" { // of a schema itself
			return "must be a regular expression, without lookaround or back references"
		}
		return "must be a valid " + clip(k.Want, maxEcho)
	case *kind.Pattern:
		return "must match the pattern " + clip(k.Want, 2*maxEcho)
	case *kind.Minimum:
		return fmt.Sprintf("must be at least %s (got %s)", number(k.Want), number(k.Got))
	case *kind.Maximum:
		return fmt.Sprintf("must be at most %s (got %s)", number(k.Want), number(k.Got))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("must be more than %s (got %s)", number(k.Want), number(k.Got))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("must be less than %s (got %s)", number(k.Want), number(k.Got))
	case *kind.MultipleOf:
		return fmt.Sprintf("must be a multiple of %s (got %s)", number(k.Want), number(k.Got))
	}
	return expectedSize(k)
}

func expectedSize(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return sized("at least", k.Want, "character", k.Got)
	case *kind.MaxLength:
		return sized("at most", k.Want, "character", k.Got)
	case *kind.MinItems:
		return sized("at least", k.Want, "item", k.Got)
	case *kind.MaxItems:
		return sized("at most", k.Want, "item", k.Got)
	case *kind.MinProperties:
		return sized("at least", k.Want, "member", k.Got)
	case *kind.MaxProperties:
		return sized("at most", k.Want, "member", k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("must have no item twice (items %d and %d are equal)", min(k.Duplicates[0], k.Duplicates[1])+1, max(k.Duplicates[0], k.Duplicates[1])+1)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "must fit only one of the forms that its schema lists"
		}
		return "must fit one of the forms that its schema lists"
	case *kind.AnyOf:
		return "must fit one of the forms that its schema lists"
	case *kind.FalseSchema, *kind.Not:
		return "is not allowed"
	}
	return "does not fit its schema"
}

func sized(bound string, want int, noun string, got int) string {
	if want != 1 {
		noun += "s"
	}
	return fmt.Sprintf("must have %s %d %s (got %d)", bound, want, noun, got)
}

func either(types []string) string {
	var unique []string
	for _, t := range types {
		if !slices.Contains(unique, t) {
			unique = append(unique, t)
		}
	}
	return strings.Join(unique, " or ")
}

// values lists what a schema, not a caller, names.
func values(want []any) string {
	var parts []string
	for _, v := range want {
		parts = append(parts, fmt.Sprint(v))
	}
	return clip(strings.Join(parts, ", "), 5*maxEcho)
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return clip(r.Num().String(), maxEcho)
	}
	return clip(strings.TrimRight(r.FloatString(20), "0"), maxEcho)
}

func clip(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
