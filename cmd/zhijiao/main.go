// Command zhijiao is the platform of a smart-correction centre in one program. `zhijiao up` runs everything on one
// machine; the other subcommands run a part, or do one thing and end. See docs/operations.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // legal dates are Asia/Shanghai on any machine

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program the hard way
	}()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "zhijiao:", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		os.Exit(1)
	}
}

// newRoot builds the command line: one file a subcommand.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "zhijiao",
		Short:         "智矫: the platform of a smart-correction centre",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	addConfigFlags(root)
	root.AddCommand(
		newUpCommand(), newServeCommand(), newBrokerCommand(), newMigrateCommand(), newOfficerCommand(), newDeviceCommand(), newZonesCommand(), newHistoryCommand(),
		newCalendarCommand(), newScheduleCommand(), newAuditCommand(), newEvidenceCommand(), newKeysCommand(), newSubjectCommand(), newImportCommand(), newLawCommand(),
		newQuarantineCommand(), newReplayCommand(), newReplayCheckCommand(), newExplainCommand(), newCompareCommand(), newWhatIfCommand(), newSimulateCommand(), newConfigCommand(), newVersionCommand(),
	)
	return root
}

// addConfigFlags gives every setting a flag.
func addConfigFlags(root *cobra.Command) {
	root.PersistentFlags().String("config", "", "YAML file with settings ($"+config.EnvFile+")")
	for _, k := range config.Keys() {
		root.PersistentFlags().String(k.Flag(), k.Default, strings.ReplaceAll(k.Doc, "`", "\"")) // pflag takes a back-quoted word for the name of the value
	}
}

// loadConfig reads the settings of a command and makes its log.
func loadConfig(cmd *cobra.Command) (*config.Config, *slog.Logger, error) {
	src := config.Source{Environ: os.Environ(), Flags: map[string]string{}}
	src.File = os.Getenv(config.EnvFile)
	if f := cmd.Flag("config"); f != nil && f.Changed {
		src.File = f.Value.String()
	}
	for _, k := range config.Keys() {
		if f := cmd.Flag(k.Flag()); f != nil && f.Changed {
			src.Flags[k.Name] = f.Value.String()
		}
	}
	cfg, err := config.Load(src)
	if err != nil {
		return nil, nil, err
	}
	return cfg, newLog(cfg.Log), nil
}

func newLog(l config.Log) *slog.Logger {
	opts := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}

// ended tells whether a command ended because it was told to: then it succeeded.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// endedEarly is ended for a program that was still starting: whatever failed after it was told to end, failed because of
// that, in whichever words.
func endedEarly(ctx context.Context, log *slog.Logger, err error) error {
	if ctx.Err() == nil {
		return err
	}
	log.Info("told to end while starting", "err", err)
	return nil
}
