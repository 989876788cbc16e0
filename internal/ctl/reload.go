package ctl

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

func (a *app) reload() *cobra.Command {
	var r memberAction
	cmd := &cobra.Command{
		Use:     a.membersUse("reload"),
		Short:   "Have members read their configuration file again",
		Example: "  reload mycluster -c /etc/patroni.yml\n  reload mycluster node2 --force",
	}
	f := cmd.Flags()
	group, role := groupFlag(f), roleFlag(f)
	f.BoolVar(&r.force, "force", false, "ask nothing")
	format := formatFlag(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.results, r.verb, r.role = a.results("reload", format.value), "reload", role.value
		return a.onMembers(cmd, args, group, &r, r.reload)
	}
	return cmd
}

func (r *memberAction) reload(ctx context.Context, members []cluster.Member) error {
	if err := r.sure(ctx, fmt.Sprintf("Are you sure you want to reload members %s?", memberNames(members)), "Aborted reload"); err != nil {
		return err
	}
	rest, err := r.client()
	if err != nil {
		return err
	}
	for _, m := range members {
		answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return rest.Reload(ctx, m.APIURL) })
		o := outcome{Member: m.Name, Code: answer.Code, Text: answer.Text}
		switch {
		case ctx.Err() != nil:
			return errAborted
		case err == nil && answer.Code == http.StatusAccepted:
			r.line("Reload request received for member %s and will be processed within %d seconds\n", m.Name, int(r.before.settings.LoopWait/time.Second))
			o.Result = resultDone
		case err == nil && answer.Code == http.StatusOK:
			r.line("No changes to apply on member %s\n", m.Name)
			o.Result = resultUnchanged
		default:
			o = r.told("reload", m.Name, answer, err)
		}
		r.add(o)
	}
	return r.end()
}
