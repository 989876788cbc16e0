package config

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// FuzzLoad feeds any bytes to the reader: it must end, must not panic, must give
// JSON for what it accepts, and must not show the password that is put in.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/guide.yml", "testdata/faults.yml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a]\n<<: *a\n"))
	f.Add([]byte("bootstrap: {dcs: {ttl: .inf, loop_wait: -1, retry_timeout: 99999999999}}"))
	f.Add([]byte("postgresql: {listen: '[', basebackup: [{}], parameters: {a: .nan}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, report, err := LoadBytes(text, "f")
		if (err == nil) != (c != nil && len(report.Errors()) == 0) {
			t.Fatalf("config %v, error %v, faults %v", c, err, report.Errors())
		}
		if c == nil {
			return
		}
		if _, err := json.Marshal(c.Bootstrap.DCS); err != nil {
			t.Fatal(err)
		}
		e, _ := Combine(c.Bootstrap.DCS, c)
		if e.LoopWait+2*e.RetryTimeout > e.TTL {
			t.Fatalf("timing %+v", e.Timing)
		}
		password := c.Postgresql.Authentication.Superuser.Password.Reveal()
		if len(password) > 8 && strings.Count(string(text), password) == 1 {
			if strings.Contains(fmt.Sprint(report, err, c), password) {
				t.Fatalf("the password is shown: %v", report)
			}
		}
	})
}
