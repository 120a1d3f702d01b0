"""The study: which detector is right how often, in which world, measured over seeds and kept as it goes.

`plan` says what is asked, `worlds` makes the data, `fitting` and `judging` answer one cell, `running` goes through
them, `results` keeps the rows, `figures` makes the headline of them, `write_up` and `pictures` the page. The only part
of the package that knows the simulator.
"""
