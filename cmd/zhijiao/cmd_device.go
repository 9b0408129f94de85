package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/devices"
	"zhijiao/devices/jt808"
	"zhijiao/geofence"
	"zhijiao/internal/crypto"
	"zhijiao/supervision"
)

func newDeviceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "device", Short: "Wristbands and phones: enrol them, give them secrets, bind them to people", Args: cobra.NoArgs}
	cmd.AddCommand(newDeviceAddCommand(), newDeviceSecretCommand(), newDeviceRevokeCommand(), newDeviceBindCommand(), newDeviceFloorCommand(),
		newDeviceDatumCommand(), newDeviceRegisterCommand(), newDeviceGapsCommand(), newDeviceEnrolCommand(),
		newDeviceRotateCommand(), newDeviceLostCommand(), newDeviceFoundCommand(), newDeviceBatteriesCommand(), newDeviceCommandCommand(), newDeviceCommandsCommand())
	return cmd
}

// withDevices runs what a device command does, in one transaction, at an instant of domain time.
func withDevices(cmd *cobra.Command, do func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error) error {
	cfg, log, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
		return deviceWork(ctx, cfg, pool, log, do)
	})
}

// deviceDesk is what device commands work with.
type deviceDesk struct {
	pool *pgxpool.Pool
	keys crypto.Provider
	now  time.Time
	org  *supervision.Store
}

func deviceWork(ctx context.Context, cfg *config.Config, pool *pgxpool.Pool, log *slog.Logger, do func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error) error {
	keys, err := openKeys(ctx, cfg, log, pool)
	if err != nil {
		return err
	}
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	d := &deviceDesk{pool, keys, c.Now(), supervision.NewStore(pool, c, keys)}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return do(ctx, tx, d) })
}

func newDeviceAddCommand() *cobra.Command {
	var class, model, org string
	cmd := &cobra.Command{
		Use:   "add SERIAL --class wristband --org 岳口",
		Short: "Enrol a device, and print its secret once",
		Long: `Enter a wristband or a phone into the registry and print the secret it connects with: it is nowhere else. Client id and user name
are the serial. Until the device is bound to somebody, what it says is counted and not stored. A running server lets it in within
a second.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if class != string(devices.Wristband) && class != string(devices.Phone) {
				return fmt.Errorf("--class: %q is neither wristband nor phone", class)
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				e := devices.Enrolment{Serial: devices.Serial(args[0]), Class: devices.Class(class), Model: model, At: d.now}
				var err error
				if e.Org, err = findOrg(ctx, d.org, org); err != nil {
					return err
				}
				made, err := devices.Enrol(ctx, tx, d.keys, e)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "serial  %s\nsecret  %s\n", made.Serial, made.Secret)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&class, "class", "", "wristband or phone (required)")
	f.StringVar(&model, "model", "unknown", "model, for statistics and faults")
	f.StringVar(&org, "org", "", "organisation that keeps it: name, short name or code (required)")
	for _, name := range []string{"class", "org"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func newDeviceSecretCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "secret SERIAL",
		Short: "Give a device a new secret, and print it once; earlier ones end",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				secret, err := devices.IssueSecret(ctx, tx, d.keys, device.ID, d.now, !keep)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "serial  %s\nsecret  %s\n", device.Serial, secret)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave earlier secrets good until the device has the new one")
	return cmd
}

func newDeviceRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke SERIAL",
		Short: "End a device: it cannot connect, and what it observes from now on is not stored",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				return devices.Revoke(ctx, tx, device.ID, d.now)
			})
		},
	}
}

func newDeviceBindCommand() *cobra.Command {
	var number, every string
	cmd := &cobra.Command{
		Use:   "bind SERIAL --to TM-00001 --every 1m",
		Short: "Have a device speak for somebody from now on (佩戴, 开通)",
		Long: `Bind a device to somebody under supervision, by local number, from now on. A wristband needs an approval of electronic positioning
that is in force (社区矫正法 29): without one this is refused. --every is how often it is expected to tell where it is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			interval, err := time.ParseDuration(every)
			if err != nil || interval < time.Second || interval > 7*24*time.Hour {
				return fmt.Errorf("--every: a duration from 1s to 168h, such as 1m or 8h")
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				subject, err := subjectByNumber(ctx, d.pool, number)
				if err != nil {
					return err
				}
				if subject == 0 {
					return fmt.Errorf("--to: nobody has the number %q", number)
				}
				_, err = devices.Bind(ctx, tx, devices.NewBinding{Device: device.ID, Subject: subject, Interval: interval, From: d.now, At: d.now})
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&number, "to", "", "local number of the person (required)")
	f.StringVar(&every, "every", "1m", "how often it is expected to tell where it is")
	if err := cmd.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func knownDevice(ctx context.Context, tx pgx.Tx, serial string) (devices.Device, error) {
	d, err := devices.Find(ctx, tx, devices.Serial(serial))
	if errors.Is(err, devices.ErrUnknownDevice) {
		return d, fmt.Errorf("no device %q is enrolled", serial)
	}
	return d, err
}

func newDeviceFloorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "floor MODEL METHOD METRES",
		Short: "Record what a model errs by at least, by gnss, wifi, cell or rf, whatever it claims",
		Long: `Record that the accuracy a model of device claims by a method is never to be trusted below so many metres, from now on. The floors
of methods apply to every model; this one is for models that are known to be worse. Everybody who carries one is judged again.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			method, ok := map[string]devices.Method{"gnss": devices.MethodGNSS, "wifi": devices.MethodWiFi, "cell": devices.MethodCell, "rf": devices.MethodRF}[args[1]]
			if !ok {
				return fmt.Errorf("METHOD: %q is none of gnss, wifi, cell, rf", args[1])
			}
			metres, err := strconv.ParseFloat(args[2], 64)
			if err != nil {
				return fmt.Errorf("METRES: %q is no number", args[2])
			}
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				return geofence.NewStore(pool, c).PutModelFloor(ctx, 0, args[0], method, metres, time.Time{})
			})
		},
	}
}

func newDeviceDatumCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "datum MODEL DATUM",
		Short: "Record in which datum a model gives its places: WGS-84, CGCS2000, GCJ-02 or BD-09",
		Long: `Record in which datum a model of device gives its places, for wires that cannot say it themselves (the gateways). It holds for
what is heard from now on: a running server follows within a second. A place of a gateway whose datum neither the wire nor the model says is
refused: a guess would be half a kilometre off.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			datum, ok := devices.ParseDatum(args[1])
			if args[0] == "" || !ok {
				return fmt.Errorf("DATUM: %q is none of WGS-84, CGCS2000, GCJ-02, BD-09", args[1])
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				return devices.PutModelDatum(ctx, tx, 0, args[0], datum, d.now)
			})
		},
	}
}

func newDeviceRegisterCommand() *cobra.Command {
	var open time.Duration
	cmd := &cobra.Command{
		Use:   "register SERIAL",
		Short: "Let a JT/T 808 terminal register, and fetch its secret by that",
		Long: `Let a terminal that speaks JT/T 808 register for a while: the first of its number that does is given a new secret as its
authentication code, and earlier secrets end. Whoever knows the number could do it instead, so let it register when it is at hand. A
terminal whose authentication code can be set needs none of this: set it to the secret that "device add" printed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.HasPrefix(args[0], jt808.SerialPrefix) {
				return fmt.Errorf("SERIAL: a terminal of this wire is %s and its number without leading zeros", jt808.SerialPrefix)
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				return devices.OpenRegistration(ctx, tx, device.ID, d.now, d.now.Add(open))
			})
		},
	}
	cmd.Flags().DurationVar(&open, "for", 15*time.Minute, "for how long; at most 24h")
	return cmd
}
