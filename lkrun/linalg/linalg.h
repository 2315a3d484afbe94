/* Linear algebra for Lua: what linalg.c gathers from the files beside it. */
#ifndef LKRUN_LINALG_H
#define LKRUN_LINALG_H

#include <lua.h>

#include "tensor/product.h"

int linalg_cholesky(lua_State *L);
int linalg_cholesky_solve(lua_State *L);
int linalg_potrs(lua_State *L);
int linalg_trsm(lua_State *L);
int linalg_mips(lua_State *L);
int linalg_ridge(lua_State *L);

#endif
