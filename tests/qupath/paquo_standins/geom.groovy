package qupath.lib.geom

import groovy.transform.CompileStatic

/** Stand-in after QuPath's Point2. */
@CompileStatic
class Point2 {
    final double x
    final double y

    Point2(double x, double y) {
        this.x = x
        this.y = y
    }
}
