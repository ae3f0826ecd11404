package doctor

import (
	"context"
	"errors"
	"os"
	"slices"

	"vernal/idp"
	"vernal/idp/seal"
)

// masterKeyAge is the recommended longest use of a key that wraps others (NIST SP 800-57 part 1,
// §5.3.6).
const masterKeyAge = 2 * 365 * day

func listMasterChecks() []Check {
	return []Check{{
		Name: "master_key", Codes: []Code{MasterKeyUnreadable, MasterKeyOther, MasterKeyOld, RekeyUnfinished},
		Configured: func(s *Service) bool { return s.Master != nil }, Run: (*Service).checkMasterKey,
	}}
}

// checkMasterKey looks at the master key as it is configured now, which need not be the one
// that the server was started with.
func (s *Service) checkMasterKey(ctx context.Context, _ Options) (findings []Finding, err error) {
	state, err := s.Rekey.State(ctx)
	if err != nil {
		return nil, err
	}
	rekey := idp.Suggest(idp.DoRekey)
	path := s.Settings.MasterKeyFile
	master, err := s.Master()
	switch {
	case errors.Is(err, seal.ErrPermissions): // checkFiles reports it
	case err != nil:
		findings = append(findings, Finding{Code: MasterKeyUnreadable, Level: Problem, Args: Args{Path: path, Value: formatError(err)}})
	case !slices.Contains([]string{state.Configured, state.FromID, state.ToID}, master.ID()):
		findings = append(findings, Finding{
			Code: MasterKeyOther, Level: Problem, Args: Args{Path: path, Key: state.Configured, Value: master.ID()},
			Suggestions: []idp.Suggestion{rekey.WithOption(idp.OptionBegin, "").WithOption(idp.OptionNewKey, "")},
		})
	}
	if !state.Working && (state.Phase != "" || state.IsRenewing) {
		suggestions := []idp.Suggestion{rekey}
		if state.Phase != "" {
			suggestions = append(suggestions, rekey.WithOption(idp.OptionFinish, ""))
		}
		findings = append(findings, Finding{Code: RekeyUnfinished, Level: Problem, Args: Args{Value: state.Failed}, Suggestions: suggestions})
	}
	if info, statErr := os.Stat(path); statErr == nil && s.Clock.Now().Sub(info.ModTime()) > masterKeyAge {
		findings = append(findings, Finding{
			Code: MasterKeyOld, Level: Information,
			Args:        Args{Path: path, Date: info.ModTime().UTC(), Days: int(s.Clock.Now().Sub(info.ModTime()) / day)},
			Suggestions: []idp.Suggestion{rekey.WithOption(idp.OptionBegin, "").WithOption(idp.OptionNewKey, "")},
		})
	}
	return findings, nil
}
