package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"zhijiao/internal/crypto"
)

func newKeysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "The keys file", Args: cobra.NoArgs}
	cmd.AddCommand(newKeysAddCommand())
	return cmd
}

func newKeysAddCommand() *cobra.Command {
	var suite string
	cmd := &cobra.Command{
		Use:   "add --suite sm",
		Short: "Add a root key: from the next start on it seals and signs, and what is sealed still opens",
		Long: `Add a root key to the keys file. From the next start of the program on it seals and signs, of the suite that is named; what was sealed before still
opens, and keyed digests (secrets of devices, duplicates) stay what they are. Take a new copy of the keys file to the place where copies of it are,
and a new public key (zhijiao audit key).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			n, err := crypto.AddRoot(cfg.Keys(), crypto.Suite(suite))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %d of suite %s is in %s: restart the program, and copy the file\n", n, suite, cfg.Keys())
			return err
		},
	}
	cmd.Flags().StringVar(&suite, "suite", string(crypto.International), "international or sm")
	return cmd
}
