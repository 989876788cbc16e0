package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
)

// armNow arms with the newest deadline. No deadline goes along, for the same reason
// as in Launch.
func (k *keeper) armNow(ctx context.Context, g *fence.Guard) error {
	k.tell()
	if err := g.Arm(ctx, 0); err != nil {
		return err
	}
	k.setArmed(true)
	k.poke()
	return nil
}

var errNoPermit = errors.New("the permit is over")

// permitted is nil while the permit lasts. Not knowing is no permission.
func (k *keeper) permitted() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.until.known || k.until.at <= boottime.Now() {
		return errNoPermit
	}
	return nil
}

// permitPatience is how long awaitPermit waits. The way of a deadline is a goroutine
// or two long.
const permitPatience = 100 * time.Millisecond

// awaitPermit is nil as soon as the permit lasts. The agent can hear of a permit a
// moment before the keeper does, and a promotion that is refused for that costs a
// pass while clients wait.
func (k *keeper) awaitPermit(ctx context.Context) error {
	patience := time.NewTimer(permitPatience)
	defer patience.Stop()
	for {
		k.mu.Lock()
		heard := k.heard
		k.mu.Unlock()
		err := k.permitted()
		if err == nil {
			return nil
		}
		select {
		case <-heard:
		case <-patience.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// arm makes sure, before a promotion, that the permit lasts and that the guard keeps
// to it. Should it end right after, the guard freezes the server in its promotion.
func (k *keeper) arm(ctx context.Context) error {
	if err := k.awaitPermit(ctx); err != nil {
		return fmt.Errorf("arm the guard: %w", err)
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	off := k.off
	k.mu.Unlock()
	if off {
		return nil // said at the start of the server
	}
	g, err := k.connect(ctx)
	if err == nil {
		err = k.armNow(ctx, g)
	}
	if err != nil {
		return fmt.Errorf("arm the guard: %w", err)
	}
	return nil
}

// armAhead is for a server that runs as a primary already and that nothing stops: one
// that is taken over from Patroni. It is armed with the
// first permit, but that comes with a takeover, and from the moment at which one is
// applied the others count on the end of that permit, also when its answer is lost or
// this agent dies over it. So the guard is told before the takeover is sent. span is
// what the takeover will give, counted from its send, which comes after this.
//
// A guard that is armed keeps to what it has: it may be the end of a takeover that was
// sent before.
func (k *keeper) armAhead(ctx context.Context, span time.Duration) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	g, due := k.guard, k.bare()
	k.mu.Unlock()
	if g == nil || !due {
		return nil
	}
	if err := g.Arm(ctx, boottime.Now().Add(span)); err != nil {
		return fmt.Errorf("arm the guard before the takeover: %w", err)
	}
	k.setArmed(true)
	return nil
}

// bare reports that the server may be a primary and nothing stops it. That of a
// cluster that was just created does not count before its first permit: nobody has a
// copy of it that could be promoted. The mutex is held.
func (k *keeper) bare() bool {
	return k.server != 0 && k.mayWrite && !k.armed && (k.until.known || !k.founded.Load())
}

var errBare = errors.New("the server may be a primary, and the guard is not armed yet")

// covered is nil unless others could soon count on an end that nobody keeps to: the
// guard has a primary and is not armed, or no pass has told yet what there is.
func (k *keeper) covered() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.guard != nil && (k.bare() || !k.held && !k.armed) {
		return errBare
	}
	return nil
}
