"""Faults: anything that can go wrong beside or below a running job, at any moment, and then the same line again.

`jobs` has the jobs (files and PostgreSQL tables, into our targets and foreign ones), `landing` reads what arrived,
`faults` has the kinds of faults and how a seed becomes faults, `survival` the checks after each (I1, I2, I5, I8, I11),
`watch` looks at a running line.
`shim.c` is what the kernel answers on a bad day, compiled when the tests begin and loaded with LD_PRELOAD; `disks` a
disk that can be full; `thief` another machine that takes a lease. `mutants` are broken builds that must be found.
"""
