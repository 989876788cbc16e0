package daemon

import (
	"context"
	"slices"
	"strings"
	"sync"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// peers asks the other members' agents by their REST interface, Patroni's too.
type peers struct{ client *client.Client }

// Ask asks all at once; the slowest answer, or the deadline, ends the round.
func (p peers) Ask(ctx context.Context, members []cluster.Member) []ha.Peer {
	out := make([]ha.Peer, len(members))
	var wait sync.WaitGroup
	for i, m := range members {
		wait.Go(func() { out[i] = p.ask(ctx, m) })
	}
	wait.Wait()
	slices.SortFunc(out, func(a, b ha.Peer) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (p peers) ask(ctx context.Context, m cluster.Member) ha.Peer {
	s, err := p.client.Status(ctx, m.APIURL)
	if err != nil || !s.HasPositions {
		return ha.Peer{Name: m.Name, Silent: true} // B-127
	}
	peer := ha.Peer{Name: m.Name, Primary: s.Primary(), Nofailover: s.Tags.Nofailover(),
		Priority: s.Tags.FailoverPriority(), WatchdogFailed: s.WatchdogFailed}
	peer.End.Timeline, peer.End.LSN = s.Timeline, s.Position()
	return peer
}
