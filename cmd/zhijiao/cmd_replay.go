package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/cmd/zhijiao/replay"
)

func newReplayCommand() *cobra.Command {
	o := replayOptions{}
	var from, speed string
	cmd := &cobra.Command{
		Use:   "replay PATH",
		Short: "Send recorded traces to a running platform, as devices would",
		Long: `Send the traces of a file (.csv, .gpx, .plt of GeoLife; plain or .gz), or of every such file under a folder, through MQTT to a platform that runs: that of
data_dir (` + "`zhijiao up --rehearsal` or `up --demo`" + `), or database_url with broker.url. Invented people are enrolled for them, so
only a rehearsal takes them; approvals for dense traces are recorded for the days they cover.

--from recorded keeps the times of the trace. A trace that is older than the law (1 July 2020), or not over yet, is moved by
whole weeks, so that it ends before now; which is said. Sent again it has the same times and changes nothing.
--from now has the trace begin now and sends each fix when its time has come on the platform's clock.

In the end it tells what became of every observation, and fails when that does not add up.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if err := o.parse(from, speed); err != nil {
				return err
			}
			b := bar{out: cmd.ErrOrStderr(), what: "files read"}
			traces, err := replay.LoadTelling(args[0], func(files, of int) { b.show(int64(files), int64(of)) })
			if err != nil {
				return err
			}
			return runReplay(cmd.Context(), cfg, log, o, traces, cmd.OutOrStdout(), cmd.ErrOrStderr()) // cut short it has not done what was asked
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "recorded", "recorded: times as recorded; now: the trace begins now")
	f.IntVar(&o.perMessage, "per-message", 10, "fixes in one message, 1 to 128")
	f.StringVar(&speed, "speed", "max", "of --from recorded: max, or how many times as fast as recorded")
	return cmd
}

func (o *replayOptions) parse(from, speed string) error {
	switch from {
	case "recorded":
	case "now":
		o.now = true
	default:
		return fmt.Errorf("--from: %q is neither recorded nor now", from)
	}
	if o.perMessage < 1 || o.perMessage > 128 {
		return errors.New("--per-message: 1 to 128")
	}
	if speed == "max" {
		return nil
	}
	v, err := strconv.ParseFloat(speed, 64)
	if err != nil || v <= 0 {
		return fmt.Errorf("--speed: %q is neither max nor a number above 0", speed)
	}
	if o.now {
		return errors.New("--speed: with --from now the platform's clock decides")
	}
	o.speed = v
	return nil
}

func runReplay(ctx context.Context, cfg *config.Config, log *slog.Logger, o replayOptions, traces []replay.Trace, out, progress io.Writer) error {
	return currentDatabase(ctx, cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
		if err := requireRehearsal(ctx, pool); err != nil {
			return err
		}
		keys, err := openKeys(ctx, cfg, log, pool)
		if err != nil {
			return err
		}
		c, closeClock, err := openClock(ctx, pool, log)
		if err != nil {
			return err
		}
		defer closeClock()
		r := replayer{pool: pool, keys: keys, clock: c, log: log, replayOptions: o}
		if r.url, r.tls, err = brokerOf(cfg); err != nil {
			return err
		}
		return r.run(ctx, traces, out, progress)
	})
}

// brokerOf is where devices find the broker of a platform with these settings.
func brokerOf(cfg *config.Config) (url string, t *tls.Config, err error) {
	if cfg.Broker.URL != "" {
		conf, err := clientTLS(cfg.Broker.CAFile)
		return cfg.Broker.URL, conf, err
	}
	host, port, err := net.SplitHostPort(cfg.MQTT.Listen)
	if err != nil {
		return "", nil, fmt.Errorf("mqtt.listen: %w", err)
	}
	if port == "0" {
		return "", nil, errors.New("mqtt.listen: port 0 does not say where the broker listens; give --mqtt-listen as the platform printed it")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	server, err := serverTLS(cfg.MQTT)
	if err != nil {
		return "", nil, fmt.Errorf("mqtt: %w", err)
	}
	scheme := "tcp://"
	if server != nil {
		scheme = "tls://"
	}
	return scheme + net.JoinHostPort(host, port), ownTLS(server), nil
}
