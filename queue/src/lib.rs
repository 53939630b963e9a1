//! Who goes next: index of queued recipients, schedule, limits, suspends. Pure.
