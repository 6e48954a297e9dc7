package qupath.lib.objects

/** Stand-in after QuPath's Point2. */
class StandinPoint {
    double x
    double y
}
