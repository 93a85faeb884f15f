"""tinyloc: which room a person is in, computed on the wearable itself.

::

    recordings -> windows -> model -> integer graph -> C -> microcontroller -> verdict -> page
    data          data       models   quant            emit  device           judge      report
                             learn                     csrc

Letters used throughout: T time steps in a window, P access points, H model width, E inner width (2H), N state
size, R rank of the step size, K rooms, L layers, W windows. Units: RSSI in dBm ("not heard" is NaN in a
recording and -128 in int8), time in seconds, acceleration in g, position in metres, memory in bytes
(KB = 1,024 bytes).
"""

__version__ = "0.1.0"
