/* The prompt. */
#include "host.h"
