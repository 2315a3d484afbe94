/* Whether this program runs in a job of Snakemake's, and on how many threads: from the variables
 * that Snakemake sets for whatever a job starts. */
#ifndef LKRUN_SNAKEMAKE_H
#define LKRUN_SNAKEMAKE_H

/* The `threads` of the Snakemake job that this process is in; 0: it is in none. */
int snakemake_threads(void);

#endif
