package ctl

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeTime is how long a shell waits for the names of the members: a key press
// must not hang on a store that is away.
const completeTime = 2 * time.Second

// completions teach the shell what can stand where: the values of options that have a
// fixed set, and the members' names, which are the store's.
func (a *app) completions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		var complete cobra.CompletionFunc
		set, fixed := f.Value.(*choice)
		switch {
		case fixed:
			complete = cobra.FixedCompletions(set.allowed, cobra.ShellCompDirectiveNoFileComp)
		case slices.Contains([]string{"candidate", "leader", "primary", "member"}, f.Name):
			complete = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return a.memberCompletions(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
			}
		default:
			return
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // its only error is a name that is not there
	})
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		names := a.nameCompletions(cmd, args)
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// nameCompletions are what the next argument can be: the cluster's name, then members.
func (a *app) nameCompletions(cmd *cobra.Command, args []string) []string {
	var out []string
	if c, err := a.load(); len(args) == 0 && err == nil && c.Scope != "" {
		out = append(out, c.Scope)
	}
	takesMembers := slices.Contains([]string{"restart", "reload", "reinit", "flush", "version"}, cmd.Name())
	if takesMembers && (len(args) > 0 || a.Strict) {
		out = append(out, a.memberCompletions(cmd.Context())...)
	}
	if cmd.Name() == "flush" && len(args) > 0 {
		out = append(out, "restart", "switchover")
	}
	return slices.DeleteFunc(out, func(name string) bool { return slices.Contains(args, name) })
}

// memberCompletions are the names of the configured cluster's members; none where the
// store does not answer, for a shell has no place for errors.
func (a *app) memberCompletions(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	var out []string
	_ = a.one(ctx, nil, nil, func(_ *session, p picture) error {
		out = sortedNames(p.members())
		return nil
	})
	return out
}
