package deps
import (
 _ "go.etcd.io/etcd/client/v3"
 _ "go.etcd.io/etcd/server/v3/embed"
 _ "github.com/jackc/pgx/v5"
 _ "github.com/spf13/cobra"
 _ "go.yaml.in/yaml/v4"
 _ "github.com/coreos/go-systemd/v22/daemon"
 _ "golang.org/x/sys/unix"
 _ "golang.org/x/term"
 _ "go.uber.org/zap"
)

