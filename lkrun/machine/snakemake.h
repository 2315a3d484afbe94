/* Whether this program runs in a job of Snakemake's, and on how many threads: from the variables
 * that Snakemake sets for whatever a job starts. */
#ifndef LKRUN_SNAKEMAKE_H
#define LKRUN_SNAKEMAKE_H

/* The job's `threads`; 0: this is no job of Snakemake's. */
int snakemake_threads(void);

#endif
