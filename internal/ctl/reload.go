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
		Short:   "Have members read their configuration file again, and tell what came of it",
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
		o := r.reloadMember(ctx, rest, m)
		if ctx.Err() != nil {
			return errAborted
		}
		r.add(o)
	}
	return r.end()
}

func (r *memberAction) reloadMember(ctx context.Context, rest *client.Client, m cluster.Member) outcome {
	before, tells := r.lastReload(ctx, rest, m)
	answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return rest.Reload(ctx, m.APIURL) })
	o := outcome{Member: m.Name, Code: answer.Code, Text: answer.Text}
	switch {
	case ctx.Err() != nil:
		return o
	case err == nil && answer.Code == http.StatusAccepted:
		r.line("Reload request received for member %s and will be processed within %d seconds\n", m.Name, int(r.before.settings.LoopWait/time.Second))
		o.Result = resultDone
		if tells {
			r.tellReload(ctx, rest, m, before.Count, &o)
		}
	case err == nil && answer.Code == http.StatusOK:
		r.line("No changes to apply on member %s\n", m.Name)
		o.Result = resultUnchanged
	default:
		o = r.told("reload", m.Name, answer, err)
	}
	return o
}

// lastReload is ours alone: Patroni's members do not tell what comes of a reload.
func (r *memberAction) lastReload(ctx context.Context, rest *client.Client, m cluster.Member) (client.Reloaded, bool) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return rest.LastReload(ctx, m.APIURL)
}

// tellReload waits for the reload after that many, and tells what came of it. The request
// is granted in any case; who does not get to hear of its end finds it in the log.
func (r *memberAction) tellReload(ctx context.Context, rest *client.Client, m cluster.Member, before int, o *outcome) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	p := r.progress()
	defer p.end()
	ticker := time.NewTicker(r.pace / 10)
	defer ticker.Stop()
	for {
		if now, ok := rest.LastReload(ctx, m.APIURL); ok && now.Count > before {
			p.end()
			r.sayReload(m.Name, now)
			o.Reloaded = &now
			if now.Refused != "" {
				o.Result, o.Text = resultFailed, now.Refused
			}
			return
		}
		select {
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			p.end()
			r.warn(fmt.Sprintf("member %s has not told within %v what came of the reload; its log will", m.Name, r.timeout))
			return
		}
	}
}

// sayReload is a line for whatever is worth one.
func (r *memberAction) sayReload(name string, now client.Reloaded) {
	for _, text := range now.Invalid {
		r.line("%s: %s\n", name, text)
	}
	if now.Refused != "" {
		r.line("Failed: reload for member %s, (%s)\n", name, now.Refused)
		return
	}
	for _, c := range now.Changed {
		switch {
		case c.Restart:
			r.line("%s: %s has changed, and does not count yet: %s\n", name, c.Key, c.How)
		case c.How != "":
			r.line("%s: %s has changed (%s)\n", name, c.Key, c.How)
		default:
			r.line("%s: %s has changed\n", name, c.Key)
		}
	}
	if len(now.Changed) == 0 {
		r.line("%s: nothing has changed in its file\n", name)
	}
}

// changedKeys and invalidTexts are for the encoders.
func changedKeys(now client.Reloaded) []any {
	out := []any{}
	for _, c := range now.Changed {
		item := map[string]any{"Key": c.Key, "Restart": c.Restart}
		if c.How != "" {
			item["How"] = c.How
		}
		out = append(out, item)
	}
	return out
}

func invalidTexts(now client.Reloaded) []any {
	out := []any{}
	for _, text := range now.Invalid {
		out = append(out, text)
	}
	return out
}
