//go:build slow

package adminhttp_test

import "testing"

func TestMovedMeansTheSameInManyHistories(t *testing.T) { checkAgreement(t, 150) }
