#include "program/editor_state.h"

struct editor editor;
