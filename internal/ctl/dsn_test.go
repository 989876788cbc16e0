package ctl

import "testing"

func TestDSN(t *testing.T) {
	w := newWorld(t, harbor)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "host=127.0.0.1 port=5432\n"}, {[]string{"-r", "replica"}, "host=127.0.0.2 port=5432\n"}, {[]string{"-r", "any"}, "host=127.0.0.1 port=5432\n"},
		{[]string{"--all"}, "host=127.0.0.1,127.0.0.2,127.0.0.3 port=5432,5432,5432 target_session_attrs=read-write\n"},
		{[]string{"--all", "-r", "replica", "--dbname", "shop"}, "host=127.0.0.1,127.0.0.2,127.0.0.3 port=5432,5432,5432 dbname=shop target_session_attrs=prefer-standby\n"},
		{[]string{"--username", "it's me", "--sslmode", "require"}, "host=127.0.0.1 port=5432 user='it\\'s me' sslmode=require\n"},
		{[]string{"--uri"}, "postgresql://127.0.0.1:5432/\n"},
		{[]string{"--uri", "--all", "--username", "a@b", "--dbname", "shop", "--sslmode", "require"},
			"postgresql://a%40b@127.0.0.1:5432,127.0.0.2:5432,127.0.0.3:5432/shop?sslmode=require&target_session_attrs=read-write\n"},
		{[]string{"--all", "-f", "tsv"}, "Member\tHost\tPort\npier1\t127.0.0.1\t5432\npier2\t127.0.0.2\t5432\npier3\t127.0.0.3\t5432\n"},
		{[]string{"-m", "pier3"}, "host=127.0.0.3 port=5432\n"}, {[]string{"-r", "primary"}, "host=127.0.0.1 port=5432\n"},
	} {
		out, _, _ := w.run(append([]string{"dsn"}, c.args...)...)
		want(t, out, c.want)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-r", "any", "-m", "x"}, "Error: --role and --member are mutually exclusive options\n"},
		{[]string{"--all", "-m", "x"}, "Error: --all and --member are mutually exclusive options\n"},
		{[]string{"-m", "x"}, "Error: Can not find a suitable member\n"}, {[]string{"-r", "standby-leader"}, "Error: Can not find a suitable member\n"},
		{[]string{"nosuch"}, "Error: Can not find a suitable member\n"},
	} {
		out, errs, code := w.run(append([]string{"dsn"}, c.args...)...)
		if want(t, errs, c.want); out != "" || code != 1 {
			t.Errorf("%v: got %q, exit %d", c.args, out, code)
		}
	}
}
