/* How many CPUs this process may really use. lkrun.core.cpu tells which limits that comes from, and
 * what the machine looks like. */
#ifndef LKRUN_CPU_H
#define LKRUN_CPU_H

/* CPUs that this process may use: the least of its limits, at least 1. */
int cpu_count(void);

#endif
