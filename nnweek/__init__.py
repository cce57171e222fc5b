"""The helper package of *Week 5 – Neural Networks* (Days 29–35).

The notebooks teach, this package supports them: what a day is about is written
out in that day's notebook the first time and imported from here afterwards.

Each module is one room. A room imports only the rooms above it in this list,
and importing `nnweek` itself loads none of them.

=============  =======================================================  ===========
room           holds                                                    needs
=============  =======================================================  ===========
`toy`          small data sets in two dimensions                        numpy
`scratch`      the two-layer network, by hand                           numpy
`gradcheck`    analytic gradients against finite differences            numpy
`runtime`      seeds, the device, the folder for data and results       numpy
`mnist`        finding, verifying and loading MNIST; batch loaders      torch
`models`       the networks that the week trains                        torch
`tracking`     TensorBoard logs, written and read back                  tensorboard
`training`     training and evaluation loops, checkpoints               torch
`experiments`  whole runs, and how sure their numbers are               torch
`distributed`  the baseline, trained by several processes at once       torch
`planted`      runs with planted faults, to be diagnosed                torch
`bench`        how fast this machine is at the week's work              torch
`results`      the one file in which the days leave their numbers       –
`plots`        the figures that more than one notebook draws            matplotlib
`checks`       exercises, and verdicts that name the mistake            numpy
`grade`        handed-in exercises, checked file by file                numpy
`report`       what this set-up is, and what is wrong with it           –
=============  =======================================================  ===========
"""

__version__ = "0.1.0"
