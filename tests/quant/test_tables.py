"""The tables are what their names say, to the last bit that they hold."""

import numpy as np
import pytest

from tinyloc.errors import QuantisationError
from tinyloc.quant.tables import EXP2, RSQRT, curve, curve_table, lookup_table


def test_exp2_holds_powers_and_their_falls() -> None:
    value, fall = EXP2 >> 16, EXP2 & 0xFFFF
    wanted = np.rint(32768 * 2.0 ** (-np.arange(65) / 64)).astype(int)
    wanted[0] = 32767
    assert value.tolist() == wanted[:64].tolist()
    assert fall.tolist() == (wanted[:64] - wanted[1:]).tolist()


def test_rsqrt_holds_inverse_roots() -> None:
    assert RSQRT.tolist() == np.rint(32768 / np.sqrt(1 + np.arange(193) / 64)).astype(int).tolist()


@pytest.mark.parametrize("kind", ["silu", "softplus", "sigmoid", "relu", "elu", "tanh"])
def test_curve_tables_follow_their_function(kind: str) -> None:
    x_scale, y_scale = 8 / 32767, 9 / 32767
    table = curve_table(kind, x_scale, y_scale, 32767)
    x = (np.arange(257) - 128) * 256 * x_scale
    assert np.abs(table.astype(float) * y_scale - curve(kind)(x)).max() <= y_scale / 2
    narrow = lookup_table(kind, 8 / 127, 9 / 127, 127)
    assert (
        np.abs(narrow.astype(float) * 9 / 127 - curve(kind)((np.arange(256) - 128) * 8 / 127)).max()
        <= 9 / 254
    )


def test_curves_do_not_overflow_far_out() -> None:
    far = np.array([-1e4, 1e4])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert curve("silu")(far).tolist() == pytest.approx([0.0, 1e4])
        assert curve("softplus")(far).tolist() == pytest.approx([0.0, 1e4])


def test_an_unknown_curve_is_named() -> None:
    with pytest.raises(QuantisationError, match="no curve named 'cosine'"):
        curve("cosine")
