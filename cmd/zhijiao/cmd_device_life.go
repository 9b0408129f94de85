package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"zhijiao/devices"
	"zhijiao/devices/jt808"
)

func newDeviceEnrolCommand() *cobra.Command {
	var lives time.Duration
	cmd := &cobra.Command{
		Use:   "enrol SERIAL",
		Short: "Make a code with which a device fetches its secret, once, and print it",
		Long: `Print a code that somebody types into a device that is in the registry (device add): the device exchanges it for a new secret at
the listener enrol.listen, and its earlier secrets end. The code is nowhere else, is good once, and is over after five wrong ones: make another then.
Terminals that speak JT/T 808 have no such exchange: zhijiao device register.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], jt808.SerialPrefix) {
				return errors.New("SERIAL: a terminal that speaks JT/T 808 fetches its secret by registering: zhijiao device register")
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				until := d.now.Add(lives)
				code, err := devices.MakeCode(ctx, tx, d.keys, device.ID, d.now, until)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "serial   %s\ncode     %s\nexpires  %s\n", device.Serial, code, until.Format(time.RFC3339))
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&lives, "for", 15*time.Minute, "for how long; at most 24h")
	return cmd
}

func newDeviceRotateCommand() *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate SERIAL",
		Short: "Give a device a new secret; earlier ones end when it is used, or after the overlap",
		Long: `Print a new secret. The device goes on with the earlier one until it comes with the new one: from then on, or after the overlap, the
earlier one is refused and a connection that was made with it is cut within seconds. At a Mosquitto only the new one stands in the next export.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				secret, err := devices.Rotate(ctx, tx, d.keys, device.ID, d.now, overlap)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "serial  %s\nsecret  %s\n", device.Serial, secret)
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long earlier secrets stay good beside it; at most 168h")
	return cmd
}

func newDeviceLostCommand() *cobra.Command {
	var reason string
	var ago time.Duration
	cmd := &cobra.Command{
		Use:   "lost SERIAL --reason TEXT",
		Short: "Record that a device is not with its bearer: what it says is nobody's place until it is found",
		Long: `Record a loss. Until the device is found, nothing of what it says is stored or evaluated: each leaves a trace without a place in the
quarantine, for the reason lost_device. Its binding stays, so that the silence of its bearer goes on being told. Texts to it are withdrawn and
refused. The reason stands in the ledger: no names.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if ago < 0 {
				return errors.New("--ago: a duration back from now")
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				return devices.MarkLost(ctx, tx, device.ID, reason, d.now.Add(-ago), d.now)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what happened (required)")
	cmd.Flags().DurationVar(&ago, "ago", 0, "how long ago; what was stored meanwhile stays")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func newDeviceFoundCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "found SERIAL",
		Short: "Record that a lost device is with its bearer again; what it kept of the time between stays in the quarantine",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				return devices.MarkFound(ctx, tx, device.ID, d.now)
			})
		},
	}
}
