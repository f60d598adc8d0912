// Runs before the first frame is drawn, and must be small: only what that frame would have wrong otherwise.

import { firstTheme } from "./theme.ts";

document.documentElement.dataset["theme"] = firstTheme();
