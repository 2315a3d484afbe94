/* The commands that keys call, and which keys those are. */
#ifndef LKRUN_EDITOR_KEYS_H
#define LKRUN_EDITOR_KEYS_H

/* Gives libedit our commands and their keys. */
void editor_bind_keys(void);

#endif
