package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
	"zhijiao/internal/mosquitto"
)

func newBrokerExportCommand() *cobra.Command {
	var e export
	cmd := &cobra.Command{
		Use:   "export --dir D",
		Short: "Write the password file, the permissions and the settings of a Mosquitto from the registry",
		Long: `Write into a folder what a Mosquitto 2 needs to serve this platform: a password file of the devices that may connect, what they may do, the
same for our own sessions (broker.user with the password of broker.password_file), and a mosquitto.conf to go by.

Only hashes are written, in Mosquitto's own form; they are kept since a device's secret was issued, because a secret cannot be told again.
Devices whose secret is older are named: give them a new one (device secret), or they cannot connect.

With --follow it goes on, writes again whenever the ledger says that a device has changed, and has Mosquitto read the files anew
(--reload): who is revoked is put out within seconds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if e.password, err = cfg.Broker.Password(); err != nil {
				return err
			}
			if e.password == "" {
				return errors.New("broker.password_file is needed: our own sessions stand in the files too")
			}
			e.cfg, e.log, e.out = cfg, log, cmd.OutOrStdout()
			if e.reload != "" && !e.follow {
				return errors.New("--reload is for --follow")
			}
			if e.site.Dir, err = filepath.Abs(e.dir); err != nil {
				return err
			}
			e.site.Service = mosquitto.User{Name: cfg.Broker.User, Hash: crypto.MosquittoHash(e.password)}
			e.site.CertFile, e.site.KeyFile = cfg.MQTT.TLSCert, cfg.MQTT.TLSKey
			return ended(cmd.Context(), currentDatabase(cmd.Context(), cfg, log, e.run))
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.dir, "dir", "", "folder to write to, where Mosquitto will read (required)")
	f.StringVar(&e.site.DeviceListen, "listener", "8883", "port, and address after a space, that devices connect to; TLS by mqtt.tls_cert and mqtt.tls_key")
	f.StringVar(&e.site.ServiceListen, "service-listener", "1884 127.0.0.1", "port and address for our own sessions: broker.url of serve")
	f.BoolVar(&e.follow, "follow", false, "go on, and write again whenever a device changes")
	f.StringVar(&e.reload, "reload", "", "file with the number of Mosquitto's process (pid_file), to be told after each writing")
	if err := cmd.MarkFlagRequired("dir"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

type export struct {
	dir, reload string
	follow      bool
	password    string
	site        mosquitto.Site
	cfg         *config.Config
	log         *slog.Logger
	out         io.Writer
}

func (e *export) run(ctx context.Context, pool *pgxpool.Pool) error {
	pos, err := ledger.Head(ctx, pool) // what changes while the files are written is seen again
	if err != nil {
		return err
	}
	without, err := e.write(ctx, pool)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%d devices, and our own sessions as %q, are in %s\n", len(e.site.Devices), e.site.Service.Name, e.site.Dir) //nolint:errcheck // stdout
	if len(without) > 0 {
		fmt.Fprintf(e.out, "%d devices cannot connect until they have a new secret (zhijiao device secret): %s\n", len(without), strings.Join(without, " ")) //nolint:errcheck // stdout
	}
	if !e.follow {
		return nil
	}
	listener := ledger.NewListener(pool, e.log)
	go func() { _ = listener.Run(ctx) }() // polling finds what it misses
	for {
		err := ledger.Follow(ctx, pool, listener, pos, func(entries []ledger.Entry) error {
			for _, entry := range entries {
				if strings.HasPrefix(entry.Kind, "device.") {
					if _, err := e.write(ctx, pool); err != nil {
						return err
					}
					break
				}
			}
			pos = entries[len(entries)-1].Pos
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.log.Error("the registry could not be followed, it will be tried again", "component", "export", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(registryRetry):
		}
	}
}

// write writes the files as the registry is now, and returns the devices that are not in them for want of a hash.
func (e *export) write(ctx context.Context, pool *pgxpool.Pool) (without []string, err error) {
	hashes, err := devices.MosquittoHashes(ctx, pool)
	if err != nil {
		return nil, err
	}
	e.site.Devices = e.site.Devices[:0]
	for serial, hash := range hashes {
		if hash == "" {
			without = append(without, string(serial))
			continue
		}
		e.site.Devices = append(e.site.Devices, mosquitto.User{Name: string(serial), Hash: hash})
	}
	changed, err := e.site.Write(e.site.Dir)
	if err != nil || !changed || e.reload == "" {
		return without, err
	}
	return without, e.tell()
}

// tell has Mosquitto read its files again. One that does not run reads them when it starts.
func (e *export) tell() error {
	raw, err := os.ReadFile(e.reload)
	if errors.Is(err, os.ErrNotExist) {
		e.log.Warn("mosquitto does not run, or has no pid_file: it will read the files when it starts", "reload", e.reload)
		return nil
	}
	if err != nil {
		return fmt.Errorf("--reload: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid < 2 {
		return fmt.Errorf("--reload: %s does not hold the number of a process", e.reload)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("--reload: tell process %d: %w", pid, err)
	}
	return nil
}
