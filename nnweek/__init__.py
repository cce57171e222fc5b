"""The helper package of *Week 5 – Neural Networks* (Days 29–35).

The notebooks teach, and this package supports them: what a day is about is written
out in that day's notebook the first time and imported from here afterwards.

A module imports only modules above it in this list, and importing `nnweek` itself
loads none of them.

=============  =======================================================  ===========
module         holds                                                    needs
=============  =======================================================  ===========
**The library**, which the notebooks import
-----------------------------------------------------------------------------------
`toy`          2-D data sets                                            numpy
`scratch`      the two-layer network in NumPy                           numpy
`gradcheck`    analytic gradients checked by finite differences         numpy
`statistics`   confidence intervals                                     numpy
`optimizers`   one step of SGD, momentum, Adam and AdamW                numpy
`files`        atomic writes                                            –
`runtime`      seeds, the device, the data folder                       numpy
`results`      the shared results file                                  –
`loaders`      splitting, normalising and batching images               torch
`mnist`        finding, verifying and loading MNIST; the stand-in       torch
`models`       the networks that the week trains                        torch
`tracking`     TensorBoard logs, written and read back                  tensorboard
`checkpoints`  saving and resuming a training run                       torch
`training`     training and evaluation loops                            torch
`experiments`  training runs, sweeps, many seeds at once                torch
`distributed`  the baseline trained by several processes                torch
`plots`        figures that more than one notebook draws                matplotlib
-------------  -------------------------------------------------------  -----------
**The checks**, which judge a learner's answers
-----------------------------------------------------------------------------------
`checks`       exercises, and verdicts that name the mistake            numpy
-------------  -------------------------------------------------------  -----------
**The commands**, which are typed: `nnweek …` or `python -m nnweek …`
-----------------------------------------------------------------------------------
`commands`     start, report, grade, bench                              –
=============  =======================================================  ===========
"""

__version__ = "0.1.0"
