package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/ingest"
	"zhijiao/internal/mqttlink"
)

const (
	probeTimeout = time.Minute
	probeRetry   = 10 * time.Second
)

// elsewhere is what is known of a broker that is not ours: what the probe at start found, and what the broker says of itself.
type elsewhere struct {
	faults atomic.Pointer[string]
	watch  atomic.Pointer[ingest.Watch]
}

// health is a fault when the broker would drop what it acknowledged, or has.
func (e *elsewhere) health() error {
	if why := e.faults.Load(); why != nil && *why != "" {
		return errors.New(*why)
	}
	if w := e.watch.Load(); w != nil {
		if n, known := w.Dropped(); known && n > 0 {
			return fmt.Errorf("the broker says it has dropped %d messages since it started", n)
		}
	}
	return nil
}

// watchElsewhere probes a broker that is not ours once, in the background, and listens to what it says of itself.
func (a *App) watchElsewhere(link mqttlink.Options) error {
	a.log.Warn("the broker is not ours: Mosquitto keeps what it has acknowledged in memory until its autosave, and a crash of it loses that; see docs/operations.md for when " +
		"that is acceptable")
	w, err := ingest.NewWatch(link, a.log.With("component", "broker"), a.registry)
	if err != nil {
		return err
	}
	w.Start()
	a.elsewhere.watch.Store(w)
	a.stops.push("broker watch", func(context.Context) error { w.Stop(); return nil })
	a.work.run("broker probe", func(ctx context.Context) error {
		for {
			probing, cancel := context.WithTimeout(ctx, probeTimeout)
			p, err := ingest.Probe(probing, link, ingest.ProbeMessages)
			cancel()
			if err == nil {
				why := strings.Join(p.Faults(), "; ")
				a.elsewhere.faults.Store(&why)
				if why != "" {
					a.log.Error("the broker is not set up for this platform", "component", "broker", "faults", why)
				} else {
					a.log.Info("the broker keeps what it acknowledges for a session that is away", "component", "broker", "probed", p.Sent, "window", p.Window)
				}
				return nil
			}
			if ctx.Err() != nil {
				return nil
			}
			a.log.Warn("the broker could not be probed, it will be tried again", "component", "broker", "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(probeRetry):
			}
		}
	})
	return nil
}

func newBrokerProbeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "probe",
		Short: "Try whether the broker at broker.url keeps what it acknowledges for a session that is away",
		Long: `Behave as devices and the platform would around an outage of the platform, under names of our own: a persistent session goes away, more than a
thousand messages are published at QoS 1, it comes back. Fails, saying what to change, when one is missing. It does not show what a crash of
the broker would lose.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if cfg.Broker.URL == "" || cfg.Broker.Mapped {
				return errors.New("broker.url and broker.mapped: false are needed; our own broker needs no probe")
			}
			link, err := linkElsewhere(cfg)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), probeTimeout)
			defer cancel()
			p, err := ingest.Probe(ctx, link, ingest.ProbeMessages)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%d acknowledged while away, %d lost, %d out of order, %d before the first acknowledgement\n",
				p.Sent, p.Lost, p.Disorder, p.Window); err != nil {
				return err
			}
			if faults := p.Faults(); faults != nil {
				return errors.New(strings.Join(faults, "; "))
			}
			return nil
		},
	}
}

// linkElsewhere is how our sessions reach a broker that is not in this process.
func linkElsewhere(cfg *config.Config) (mqttlink.Options, error) {
	password, err := cfg.Broker.Password()
	if err != nil {
		return mqttlink.Options{}, err
	}
	tlsConfig, err := clientTLS(cfg.Broker.CAFile)
	o := mqttlink.Options{URL: cfg.Broker.URL, TLS: tlsConfig, Password: password}
	if !cfg.Broker.Mapped { // Mosquitto's password file holds no name with a colon
		o.Username = cfg.Broker.User
	}
	return o, err
}
