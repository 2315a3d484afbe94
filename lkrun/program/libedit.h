/* libedit, loaded on first use: those of its functions that the prompt calls. */
#ifndef LKRUN_LIBEDIT_H
#define LKRUN_LIBEDIT_H

#include <histedit.h>
#include <stdio.h>

struct libedit {
    EditLine *(*init)(const char *, FILE *, FILE *, FILE *);
    void (*end)(EditLine *);
    const char *(*gets)(EditLine *, int *);
    int (*set)(EditLine *, int, ...);
    void (*push)(EditLine *, const char *);
    int (*source)(EditLine *, const char *);
    void (*resize)(EditLine *);
    int (*cursor)(EditLine *, int);
    int (*insert)(EditLine *, const char *);
    int (*insert_wide)(EditLine *, const wchar_t *);
    const LineInfo *(*line)(EditLine *);
    const LineInfoW *(*line_wide)(EditLine *);
    History *(*history_init)(void);
    void (*history_end)(History *);
    int (*history)(History *, HistEvent *, int, ...);
};

/* The library's functions; NULL, with *problem set, when it can't be used. */
const struct libedit *libedit_library(const char **problem);

#endif
