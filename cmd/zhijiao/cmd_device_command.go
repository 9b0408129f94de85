package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

func newDeviceCommandCommand() *cobra.Command {
	var by string
	var lives time.Duration
	cmd := &cobra.Command{
		Use:   "command SERIAL locate | vibrate | text TEXT | interval 5m",
		Short: "Tell a device something: to say where it is, to report every so often, to show a text, to vibrate",
		Long: `Record a command for a device and print its number. A running server sends it, again and again, until the device says what became of it
or it expires: zhijiao device commands SERIAL tells how far it has come. Who asked is recorded: the officer of --by, else the account of the operating
system. interval sets how often the device reports; how often it is expected to is a matter of its binding (device bind).`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := commandOf(args[1:])
			if err != nil {
				return err
			}
			if lives < 10*time.Second || lives > 7*24*time.Hour {
				return errors.New("--for: a duration from 10s to 168h")
			}
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				if !device.RevokedAt.IsZero() {
					return fmt.Errorf("device %s is revoked", device.Serial)
				}
				if c.By, c.AskedAs, err = whoAsks(ctx, tx, by); err != nil {
					return err
				}
				c.Device, c.At, c.ExpiresAt = device.ID, d.now, d.now.Add(lives)
				command, err := devices.Ask(ctx, tx, device.Org, c)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "command  %d\nexpires  %s\n", command, c.ExpiresAt.Format(time.RFC3339))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "login of the officer who asks")
	cmd.Flags().DurationVar(&lives, "for", 10*time.Minute, "when it expires; at most 168h")
	return cmd
}

// commandOf reads what a device is to be told.
func commandOf(args []string) (c devices.NewCommand, err error) {
	c.Kind = devices.CommandKind(args[0])
	rest := args[1:]
	switch c.Kind {
	case devices.CommandLocate, devices.CommandVibrate:
		if len(rest) > 0 {
			return c, fmt.Errorf("%s takes nothing more", c.Kind)
		}
	case devices.CommandText:
		if len(rest) == 0 {
			return c, errors.New("text: what is it to show?")
		}
		c.Text = rest[0]
	case devices.CommandInterval:
		if len(rest) == 0 {
			return c, errors.New("interval: how often is it to report?")
		}
		if c.Every, err = time.ParseDuration(rest[0]); err != nil {
			return c, fmt.Errorf("interval: %q is no duration such as 30s or 5m", rest[0])
		}
	default:
		return c, fmt.Errorf("%q is none of locate, vibrate, text, interval", args[0])
	}
	return c, nil
}

// whoAsks is the officer of a login, or the account under which the program runs.
func whoAsks(ctx context.Context, tx pgx.Tx, login string) (id.Officer, string, error) {
	if login != "" {
		officer, err := officerOf(ctx, tx, login)
		if err == nil && officer == 0 {
			err = fmt.Errorf("--by: no officer logs in as %q", login)
		}
		return officer, "", err
	}
	u, err := user.Current()
	if err != nil {
		return 0, "", fmt.Errorf("who asks? (--by): %w", err)
	}
	return 0, u.Username, nil
}

func newDeviceCommandsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "commands SERIAL",
		Short: "List what a device was told, how far each command has come, when, and who asked",
		Long: `List the commands of a device, the latest first. STATE: queued, sent, delivered (the device has it), done, failed, expired,
withdrawn. DEVICE is the time of its latest answer by its own clock. What a text says is not shown.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, _ *deviceDesk) error {
				device, err := knownDevice(ctx, tx, args[0])
				if err != nil {
					return err
				}
				list, err := devices.ListCommands(ctx, tx, device.ID, limit)
				if err != nil {
					return err
				}
				return printCommands(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "so many at most")
	return cmd
}

func printCommands(out io.Writer, list []devices.CommandRow) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(words ...string) { fmt.Fprintln(w, strings.Join(words, "\t")) } //nolint:errcheck // Flush says it
	line("COMMAND", "KIND", "STATE", "WHY", "ASKED", "SENT", "TIMES", "DELIVERED", "ENDED", "DEVICE", "EXPIRES", "BY")
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format(time.RFC3339)
	}
	for _, c := range list {
		kind, why, by := string(c.Kind), "-", "platform"
		if c.Kind == devices.CommandInterval {
			kind += " " + c.Every.String()
		}
		if c.Reason != "" {
			why = c.Reason
		}
		switch {
		case c.ByLogin != "":
			by = c.ByLogin
		case c.By != 0:
			by = fmt.Sprint("officer ", c.By)
		case c.AskedAs != "":
			by = "command line: " + c.AskedAs
		}
		line(fmt.Sprint(c.ID), kind, string(c.State), why, at(c.At), at(c.FirstSent), fmt.Sprint(c.Attempts), at(c.Delivered), at(c.Ended), at(c.DeviceAt),
			at(c.ExpiresAt), by)
	}
	return w.Flush()
}
