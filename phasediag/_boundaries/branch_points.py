"""Branch points of either kind, on which boundaries are continuous: kept zeros are left, or alike features told apart."""

import numpy as np

from .curves import Curve
from .equilibria import Equilibrium, far
from .exchanges import exchange_modes
from .limits import FreeLimit
from .normal_forms import softest_breaking
from .singular import BranchPoints, Continuous
from .tolerances import MOVED


def branch_points(state):
    """The curve on which an equilibrium loses its stability across its symmetry, in the softest of all modes that break it."""
    curvature, direction = next(iter(exchange_modes(state)), (np.inf, None))
    across = softest_breaking(state)[0]
    return ExchangePoints(state, direction) if not across <= curvature and direction is not None else BranchPoints(state)


class ExchangePoints(Continuous, FreeLimit):
    """The curve on which an equilibrium begins to tell features apart that are alike, as a boundary: see BranchPoints."""

    place, tangent = Curve.place, Curve.tangent

    def __init__(self, state, direction):
        super().__init__(state, direction[state.free])
        self.states = self.states * 2

    def _solve(self, u):
        """The equilibrium at u, what is alike so to the last bit, twice, or None."""
        old = self.states[0]
        found = self.family.stationary(old, u)
        if not found.converged or far(found, old) > MOVED or not found.keeps_symmetry_of(old):
            return None
        x = found.x.copy()
        x[self.free] = self.alike @ x[self.free]
        self.system(x, u, True)
        state = Equilibrium(self.family, x, old.frames, old.free, u)
        return [state, state]

    def keep(self, u, states):
        """See Curve."""
        if states is None:
            Curve.keep(self, u, states)
        else:
            super().keep(u, states)

    def value(self, u):
        """The curvature of the mode."""
        pair = self.solve(u)
        return np.nan if pair is None else -self.system(pair[0].x, u, True)[1][-1]

    def slope(self, u):
        """See Singular."""
        return -super().slope(u)

    def coefficient(self, u):
        """What decides the order: less the size of a cubic that symmetry leaves to a mode as soft, or else the quartic."""
        self._latest = self.solve(u)[0]
        self.system(self._latest.x, u, True)
        turn = self.cubic_turn
        return self._quartic() if turn is None else -abs(self._cubic_along(turn @ self._last[0]))
