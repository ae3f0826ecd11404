package cli

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin/ops"
)

const (
	// completeWait bounds the wait after the tab key.
	completeWait = 2 * time.Second
	// maxCompletions bounds the number of completions.
	maxCompletions = 100
)

// finder returns the values of the installation that begin with a text.
type finder func(ctx context.Context, a *App, prefix string) []string

// CompleteFlag completes the value of a flag with the values of the installation.
func (a *App) CompleteFlag(c *cobra.Command, name string, find finder) {
	completeFlag(c, name, a.newCompletion(find, -1))
}

// CompleteArg completes the first argument of a command with the values of the installation.
func (a *App) CompleteArg(c *cobra.Command, find finder) { c.ValidArgsFunction = a.newCompletion(find, 1) }

// completeFlag panics for an unknown flag, which is a mistake in this program.
func completeFlag(c *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err)
	}
}

// newCompletion asks the installation, for a limited time and without messages: text in the
// middle of a command line helps no one. maxArgs is the number of arguments, -1 for a flag.
func (a *App) newCompletion(find finder, maxArgs int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if maxArgs >= 0 && len(args) >= maxArgs {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		parent := c.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completeWait)
		defer cancel()
		a.Err = io.Discard
		var found []string
		for _, s := range find(ctx, a, prefix) {
			if strings.HasPrefix(s, prefix) && !strings.ContainsFunc(s, idp.IsControl) && len(found) < maxCompletions {
				found = append(found, s)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// FindEntityIDs completes the entity IDs of the registered service providers.
func FindEntityIDs(ctx context.Context, a *App, _ string) (ids []string) {
	list, _ := Ask(ctx, a, ops.ListSPs, ops.Empty{})
	for _, p := range list.SPs {
		ids = append(ids, string(p.EntityID))
	}
	return ids
}

// FindYears completes the years that have a key, and the one after them.
func FindYears(ctx context.Context, a *App, _ string) (years []string) {
	list, _ := Ask(ctx, a, ops.ListYears, ops.Empty{})
	for _, y := range list.Years {
		years = append(years, string(y.Year))
	}
	return years
}

// FindEmails completes the email addresses of users.
func FindEmails(ctx context.Context, a *App, prefix string) (emails []string) {
	q := ops.UsersRequest{Search: prefix, Limit: maxCompletions}
	for len(emails) < maxCompletions {
		page, err := Ask(ctx, a, ops.ListUsers, q)
		if err != nil {
			break
		}
		for _, u := range page.Users {
			for _, e := range u.Emails {
				emails = append(emails, e.Address)
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	return emails
}

// FindAuditKinds completes the kinds of audit records.
func FindAuditKinds(context.Context, *App, string) (kinds []string) {
	for _, k := range idp.AuditKinds() {
		kinds = append(kinds, string(k.Kind))
	}
	return slices.Compact(kinds)
}

// SetCompletionHelp replaces the texts of cobra's completion command by our own.
func SetCompletionHelp(root *cobra.Command) {
	c, _, err := root.Find([]string{"completion"})
	if err != nil || c == root {
		return
	}
	c.Short = "Print a script that completes commands in a shell"
	c.Long = `Print a script by which a shell completes commands, options, entity IDs, years,
email addresses and other values.`
	c.Example = `    source <(vernal completion bash)
    vernal completion fish >~/.config/fish/completions/vernal.fish`
	places := map[string][2]string{
		"bash":       {"~/.bashrc", "source <(vernal completion bash)"},
		"zsh":        {"~/.zshrc", "source <(vernal completion zsh); compdef _vernal vernal"},
		"fish":       {"~/.config/fish/config.fish", "vernal completion fish | source"},
		"powershell": {"your profile", "vernal completion powershell | Out-String | Invoke-Expression"},
	}
	for _, sub := range c.Commands() {
		place := places[sub.Name()]
		sub.Short = "Print the completion script for " + sub.Name()
		sub.Long = sub.Short + ". To complete in every session, add to " + place[0] + ":\n\n    " + place[1]
		sub.Example = "    vernal completion " + sub.Name()
		if f := sub.Flags().Lookup("no-descriptions"); f != nil {
			f.Usage = "leave out the descriptions"
		}
	}
}
