package ctl

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"matriarch/internal/dcs"
)

// removing is the deletion of a cluster's keys. Data directories stay.
type removing struct {
	*session
	out    *results
	before picture
}

func (a *app) remove() *cobra.Command {
	var aware string
	use := "remove CLUSTER_NAME"
	if a.Strict {
		use = "remove [CLUSTER_NAME]"
	}
	cmd := &cobra.Command{
		Use:   use,
		Short: "Delete what the store knows of a cluster; no data directory is touched",
		Long: "Delete what the store knows of a cluster. No data directory is touched. Agents that run\n" +
			"write their part of it again, so stop them first.",
		Example: "  remove mycluster -c /etc/patroni.yml",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	format := formatFlag(cmd.Flags())
	cmd.Flags().StringVar(&aware, "yes-i-am-aware", "", "the cluster's name once more: ask nothing, for a cluster without members")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && !a.Strict {
			return Usage(cmd, "Missing argument 'CLUSTER_NAME'.")
		}
		out := a.results("remove", format.value)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			out.cluster = s.name
			return (&removing{session: s, out: out, before: p}).run(cmd.Context(), format.value, aware)
		})
	}
	return cmd
}

func (r *removing) run(ctx context.Context, format, aware string) error {
	if r.citus && r.group == noGroup {
		return fail("For Citus clusters the --group must me specified")
	}
	// The table is the document of this command, as patronictl has it.
	out := r.Out
	if r.out.machine != nil {
		out = r.out.machine
	}
	if _, err := out.Write([]byte(r.before.in(format, false, r.colours(out)))); err != nil {
		return err
	}
	if err := r.sure(ctx, aware); err != nil {
		return err
	}
	n, err := r.wipe(ctx)
	if err != nil {
		return err
	}
	if r.Strict { // patronictl says nothing
		r.say("Removed cluster %s: %d keys\n", r.name, n)
	}
	return nil
}

func (r *removing) sure(ctx context.Context, aware string) error {
	switch {
	case aware == r.name && len(r.before.members()) > 0:
		return fail("members still have their keys in the store: %s; stop their agents and wait for the keys to go, or remove the cluster by answering the questions",
			memberNames(r.before.members()))
	case aware == r.name:
		return nil
	case aware != "":
		return fail("Cluster names specified do not match")
	}
	name, err := r.askPlain(ctx, "Please confirm the cluster name to remove")
	if err != nil {
		return err
	}
	if name != r.name {
		return fail("Cluster names specified do not match")
	}
	text, err := r.askPlain(ctx, "You are about to remove all information in DCS for "+r.name+`, please type: "Yes I am aware"`)
	if err != nil {
		return err
	}
	if text != "Yes I am aware" {
		return fail(`You did not exactly type "Yes I am aware"`)
	}
	leader := r.before.view.Leader.Name
	if leader == "" {
		return nil
	}
	named, err := r.askPlain(ctx, "This cluster currently is healthy. Please specify the leader name to continue")
	if err == nil && named != leader {
		return fail("You did not specify the current leader of the cluster")
	}
	return err
}

// batch is how many keys one transaction deletes: etcd's limit is 128 by default.
const batch = 100

// wipe deletes every key that the store has, and says how many.
func (r *removing) wipe(ctx context.Context) (int, error) {
	snapshot, _ := r.store.Mirror()
	names := slices.Sorted(maps.Keys(snapshot.Values))
	for part := range slices.Chunk(names, batch) {
		var txn dcs.Txn
		for _, name := range part {
			txn.Then = append(txn.Then, dcs.Op{Key: name, Delete: true})
		}
		if err := r.commit(ctx, txn); err != nil {
			return 0, r.unreachable(ctx, r.config, err)
		}
	}
	return len(names), nil
}
