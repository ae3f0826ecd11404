package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp/admin/ops"
	"vernal/idp/rekey"
	"vernal/idp/seal"
	"vernal/idp/secretfile"
	"vernal/idp/shellquote"
)

// rekeyPoll is the interval at which a command asks whether the work has ended.
const rekeyPoll = 50 * time.Millisecond

// rekeyFlags select the operation. Without a flag the command shows the keys in force.
type rekeyFlags struct {
	begin, finish, cancel, all bool
	newKey                     string
}

func (a *app) rekeyCommand() *cobra.Command {
	var f rekeyFlags
	c := &cobra.Command{
		Use:   "rekey [--begin --new-key FILE | --finish | --cancel] [--all]",
		Short: "Change the master key, and the keys below it",
		Long: `Change the master key in three steps, without stopping the server:

  1. 'vernal rekey --begin --new-key FILE' makes a key in FILE, unless there is
     one, and wraps every key by the old and the new master key. Until step 3
     either of them opens the installation.
  2. Put the new key in the place of the old one: replace master.key or the file
     that master_key_file names. For a key in VERNAL_MASTER_KEY, change the
     variable and restart the server.
  3. 'vernal rekey --finish' ends the old master key.

'vernal rekey --cancel' goes back to the old key instead of step 3.

The master key wraps other keys and nothing else: one for each user, one for each
year, and those for MACs and look-ups. Deleting a user or destroying a year's key
deletes the key that sealed it. Copies in backups and in free pages of vernal.db can
be read for as long as the master key exists that was in use then. Users deleted and
keys destroyed before --begin cannot be read with the new master key. Destroy every
copy of the old one when no backup is needed that was made with it.

After a leak of the master key, add --all to --finish, or give it alone afterwards:
every other key is made new too, and every record is written again in the
background. Counters of failed sign-ins start again, and secret links (previews,
wallboards, calendars) end. Signing keys are sealed with a new key but stay the same:
'vernal rotation revoke' replaces one that leaked.

Without a flag, rekey prints which keys are in use and what is under way. A crash at
any moment leaves the old or the new key in force, and the server goes on with the
work when it starts.`,
		Example: `    vernal rekey --begin --new-key master-2027.key
    every key is wrapped by both master keys, and either of them opens the installation
    put master-2027.key in the place of vernal-data/master.key
    then: vernal rekey --finish`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			return a.rekey(c.Context(), &f)
		},
	}
	c.Flags().BoolVar(&f.begin, "begin", false, "wrap every key by a new master key too")
	c.Flags().StringVar(&f.newKey, "new-key", "", "with --begin: the `FILE` of the new master key; made if it does not exist")
	c.Flags().BoolVar(&f.finish, "finish", false, "end the old master key")
	c.Flags().BoolVar(&f.cancel, "cancel", false, "end the new master key")
	c.Flags().BoolVar(&f.all, "all", false, "make all other keys new too (with --begin: when the change is finished)")
	return c
}

func (f *rekeyFlags) check(c *cobra.Command) error {
	n := 0
	for _, set := range []bool{f.begin, f.finish, f.cancel} {
		if set {
			n++
		}
	}
	switch {
	case n > 1:
		return cli.Usage(c, "--begin, --finish and --cancel are three steps: give one of them")
	case f.begin && f.newKey == "":
		return cli.Usage(c, "--begin needs --new-key FILE")
	case !f.begin && c.Flags().Changed("new-key"):
		return cli.Usage(c, "--new-key goes with --begin")
	case f.cancel && f.all:
		return cli.Usage(c, "--all does not go with --cancel: the old master key stays")
	}
	return nil
}

func (a *app) rekey(ctx context.Context, f *rekeyFlags) error {
	st, err := cli.Ask(ctx, a.App, ops.ShowKeys, ops.Empty{}) // first: without an installation no key is made
	if err != nil {
		return err
	}
	switch {
	case f.begin:
		var key string
		if key, err = newMasterKey(f.newKey); err == nil {
			st, err = cli.Ask(ctx, a.App, ops.BeginRekey, ops.RekeyBeginRequest{NewKey: key, All: f.all})
		}
	case f.finish:
		st, err = cli.Ask(ctx, a.App, ops.FinishRekey, ops.RekeyFinishRequest{All: f.all})
	case f.cancel:
		st, err = cli.Ask(ctx, a.App, ops.CancelRekey, ops.Empty{})
	case f.all:
		st, err = cli.Ask(ctx, a.App, ops.RenewKeys, ops.Empty{})
	default:
		return a.printRekey(st)
	}
	if err != nil {
		return err
	}
	if st, err = a.awaitRekey(ctx, st); err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	a.reportRekey(cfg, f, st)
	return a.Print(st, nil)
}

// newMasterKey reads the new master key, and makes it if the file is missing.
func newMasterKey(file string) (string, error) {
	text, err := secretfile.Read(file, 1024)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := seal.CreateMaster(file); err != nil {
			return "", err
		}
		text, err = secretfile.Read(file, 1024)
	}
	if err != nil {
		return "", fmt.Errorf("new master key: %w", err)
	}
	if _, err := seal.ParseMaster(string(text)); err != nil {
		return "", fmt.Errorf("new master key %s: %w", file, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// awaitRekey waits until the work has ended. If the command is interrupted, the work continues in
// a running server.
func (a *app) awaitRekey(ctx context.Context, st rekey.State) (rekey.State, error) {
	for st.Working {
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-time.After(rekeyPoll):
		}
		var err error
		if st, err = cli.Ask(ctx, a.App, ops.ShowKeys, ops.Empty{}); err != nil {
			return st, err
		}
	}
	if st.Failed != "" {
		return st, fmt.Errorf("the change of keys stopped: %s; repeat the command to go on", st.Failed)
	}
	return st, nil
}

// reportRekey prints the changes and the next command.
func (a *app) reportRekey(cfg *Config, f *rekeyFlags, st rekey.State) {
	switch {
	case f.begin:
		a.Say("every key is wrapped by both master keys, and either of them opens the installation")
		place := cfg.MasterKeyFile
		if strings.TrimSpace(a.Getenv(config.MasterKeyEnv)) != "" {
			a.Say("set %s to the key in %s and restart the server", config.MasterKeyEnv, shellquote.Quote(f.newKey))
		} else {
			a.Say("put %s in the place of %s", shellquote.Quote(f.newKey), shellquote.Quote(place))
		}
		a.Say("then: vernal rekey --finish")
		a.Say("to go back: vernal rekey --cancel")
	case f.cancel:
		a.Say("the new master key opens nothing; %s stays in use", st.Configured)
	case f.finish:
		a.Say("the old master key does not open the installation any more; %s is in use", st.Configured)
		a.Say("destroy every copy of the old one when no backup is needed that was made with it")
		a.Say("make a backup now: older ones need the old master key")
	}
	if f.all && !f.begin {
		a.Say("every other key is new, and every record was written again")
		a.Say("secret links have ended: make new ones with 'vernal rotation link' and 'vernal rotation preview'")
	}
}

// printRekey prints which keys are in force.
func (a *app) printRekey(st rekey.State) error {
	if a.JSON {
		return a.PrintJSON(st)
	}
	state := "in use"
	switch st.Phase {
	case seal.PhaseBegin:
		state = "being replaced: keys are being wrapped by both"
	case seal.PhaseBoth:
		state = "being replaced: put the new key in its place, then 'vernal rekey --finish'"
		if st.Configured == st.ToID {
			state = "new: end the old one with 'vernal rekey --finish'"
		}
	case seal.PhaseFinish:
		state = "in use: the other one is being ended"
	}
	rows := [][]string{{"master key", st.Configured, state}}
	if st.Phase != "" && st.Phase != seal.PhaseFinish {
		other := st.ToID
		if st.Configured == st.ToID {
			other = st.FromID
		}
		rows = append(rows, []string{"other master key", other, ""})
	}
	renewed := "in use"
	if st.IsRenewing {
		renewed = "in use: records are being written again"
	}
	rows = append(rows, []string{"other keys", fmt.Sprintf("generation %d", st.Generation), renewed})
	err := cli.WriteTable(a.Out, []string{"KEY", "ID", "STATE"}, rows)
	if st.Failed != "" {
		a.Say("the work stopped: %s", st.Failed)
	}
	return err
}
