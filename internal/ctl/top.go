package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"matriarch/internal/top"
)

// leastInterval is the shortest time between two rounds: every round asks the store
// and all members.
const leastInterval = 200 * time.Millisecond

func (a *app) top() *cobra.Command {
	var every float64
	var once bool
	cmd := &cobra.Command{
		Use:   "top [CLUSTER_NAME]",
		Short: "Watch a cluster live: who leads, how far behind the others are, and have been",
		Long: "Watch a cluster live, on the whole screen: who leads and since when, its right to write, every\n" +
			"member's state, timeline and lag with a curve of it, pause and failsafe mode, what is scheduled,\n" +
			"the store's health, and what has changed. Members are asked themselves, so lags are those of now.\n" +
			"A member or a store that hangs holds nothing up. The signs before the names: > leads, ! needs a\n" +
			"look, ? does not answer. Keys: q or Ctrl-C ends.",
		Example: "  top -c /etc/patroni.yml\n  top -c /etc/patroni.yml -n 0.5\n  top -c /etc/patroni.yml --once",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().Float64VarP(&every, "interval", "n", 1, "seconds between two rounds of questions")
	cmd.Flags().BoolVar(&once, "once", false, "print one picture and end; no terminal is needed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !once && (!isTerminal(a.Out) || !readsTerminal(a.In)) {
			return Usage(cmd, "A live view needs a terminal; --once prints one picture.")
		}
		interval := max(time.Duration(every*float64(time.Second)), leastInterval)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			if p.citus && p.group == noGroup {
				return fail("For Citus clusters the --group must me specified")
			}
			rest, err := s.client()
			if err != nil {
				return err
			}
			l := newLook(s, rest, interval)
			l.view = p.view
			if once {
				return l.once(cmd.Context())
			}
			return l.live(cmd.Context())
		})
	}
	return cmd
}

func readsTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen is the terminal's way of showing things.
func (a *app) screen() top.Screen {
	return top.Screen{Now: a.Now(), Paint: a.colours(a.Out), ASCII: !a.unicode()}
}

// unicode reports that the locale's letters are Unicode's; the first variable that is
// set counts (locale(7)).
func (a *app) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(a.getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// once asks everybody once and prints what came of it.
func (l *look) once(ctx context.Context) error {
	m := top.New(l.session.name, 0)
	var mu sync.Mutex
	take := func(msg any) {
		mu.Lock()
		defer mu.Unlock()
		absorb(m, msg)
	}
	l.store(ctx, take)
	var members sync.WaitGroup
	for _, member := range l.members() {
		members.Go(func() { l.member(ctx, member, take) })
	}
	members.Wait()
	if ctx.Err() != nil {
		return errAborted
	}
	s := l.session.screen()
	m.Sample(s.Now)
	s.Width = onceWidth
	if f, ok := l.session.Out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.Width = width
		}
	}
	l.session.say("%s", m.Draw(s))
	return nil
}

// onceWidth is in characters: what a picture may take where there is no terminal.
const onceWidth = 160

// live runs the view until it is left.
func (l *look) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	v := view{model: top.New(l.session.name, l.every), screen: l.session.screen(), now: l.session.Now}
	v.screen.Keys = "q quits"
	p := tea.NewProgram(v, tea.WithContext(ctx), tea.WithInput(l.session.In), tea.WithOutput(l.session.Out),
		tea.WithEnvironment(l.session.Environ), tea.WithoutSignalHandler())
	var asking sync.WaitGroup
	asking.Go(func() { l.run(ctx, func(msg any) { p.Send(msg) }) })
	_, err := p.Run()
	cancel()
	asking.Wait()
	switch {
	case errors.Is(err, tea.ErrProgramKilled), errors.Is(err, context.Canceled):
		return errAborted
	case err != nil:
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// absorb gives a message of look's to the model.
func absorb(m *top.Model, msg any) {
	switch msg := msg.(type) {
	case top.Sight:
		m.See(msg)
	case top.Word:
		m.Hear(msg)
	case sampled:
		m.Sample(time.Time(msg))
	}
}

// view joins the model to the library that has the terminal.
type view struct {
	model  *top.Model
	screen top.Screen
	now    func() time.Time
}

func (v view) Init() tea.Cmd { return nil }

func (v view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.screen.Width, v.screen.Height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if key := msg.String(); key == "q" || key == "Q" || key == "ctrl+c" || key == "esc" {
			return v, tea.Quit
		}
	default:
		absorb(v.model, msg)
	}
	return v, nil
}

func (v view) View() tea.View {
	v.screen.Now = v.now()
	text := ""
	if v.screen.Width > 0 {
		text = strings.TrimSuffix(v.model.Draw(v.screen), "\n")
	}
	out := tea.NewView(text)
	out.AltScreen = true
	out.WindowTitle = "matriarch top " + v.model.Cluster
	return out
}
