package qupath.lib.objects

import qupath.lib.objects.classes.PathClass

/** Stand-in after QuPath 0.4's PathObject, which has no metadata that a script can reach. */
class PathObject {
    final String kind
    StandinRoi roi
    StandinRoi nucleus
    String name
    PathObject parent
    boolean locked
    final MeasurementList measurementList
    private PathClass pathClass
    private Integer color
    private UUID id

    PathObject(String kind) {
        this.kind = kind
        this.measurementList = new MeasurementList(kind != 'annotation')
    }

    PathClass getPathClass() {
        return pathClass
    }

    /** Forgets the object's own colour, as QuPath does for every class but null, even for the same class. */
    void setPathClass(PathClass pathClass) {
        this.pathClass = pathClass
        if (pathClass != null)
            color = null
    }

    Integer getColor() {
        return color
    }

    void setColor(Integer color) {
        this.color = color
    }

    UUID getID() {
        return id
    }

    void setID(UUID id) {
        this.id = id
    }

    StandinRoi getROI() {
        return roi
    }

    StandinRoi getNucleusROI() {
        return nucleus
    }

    boolean isDetection() {
        return kind != 'annotation'
    }

    boolean hasROI() {
        return roi != null
    }

    boolean isCell() {
        return kind == 'cell'
    }

    boolean isTMACore() {
        return kind == 'tma_core'
    }

    boolean isRootObject() {
        return kind == 'root'
    }

    Map<String, Number> getMeasurements() {
        return Collections.unmodifiableMap(measurementList.values)
    }
}
