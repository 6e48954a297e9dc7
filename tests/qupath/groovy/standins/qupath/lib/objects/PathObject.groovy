package qupath.lib.objects

import qupath.lib.objects.classes.PathClass

/** Stand-in after QuPath 0.4's PathObject, which has no metadata that a script can reach. */
class PathObject {
    final String kind
    StandinRoi roi
    StandinRoi nucleus
    String name
    PathObject parent
    PathClass pathClass
    final MeasurementList measurementList
    private UUID id

    PathObject(String kind) {
        this.kind = kind
        this.measurementList = new MeasurementList(kind != 'annotation')
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
        return false
    }

    Map<String, Number> getMeasurements() {
        return Collections.unmodifiableMap(measurementList.values)
    }
}
